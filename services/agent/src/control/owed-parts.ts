import type { UploadHeader } from "@cutline/proto/control";
import { type Logger, reasonOf } from "@cutline/runtime";
import type { CapturedState } from "../capture/result.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { UploadPart } from "./upload.ts";

export interface OwedPartsEvents {
  /** A part that the coordinator waits for will not come. Not called from inside a call of this object. */
  onGivenUp(code: string, message: string): void;
  /** There may be nothing under way any more. */
  onProgress(): void;
}

interface OwedPart extends UploadPart {
  /** The content is not needed any more. */
  release(): void;
}

/** The parts of one snapshot attempt, kept until the coordinator has stored them. */
export class OwedParts {
  readonly #client: Pick<CoordinatorClient, "upload">;
  readonly #logger: Logger;
  readonly #events: OwedPartsEvents;
  readonly #dropped = new AbortController();
  #refused: OwedPart[] = [];
  #underWay = 0;

  constructor(client: Pick<CoordinatorClient, "upload">, logger: Logger, events: OwedPartsEvents) {
    this.#client = client;
    this.#logger = logger;
    this.#events = events;
  }

  /** Nothing is captured, uploaded or waits to be. Parts that the coordinator did not want are not waited for. */
  get idle(): boolean {
    return this.#underWay === 0;
  }

  /** `encoded`: records, each behind its length. */
  addRecords(header: UploadHeader, encoded: readonly Uint8Array[]): void {
    let kept = encoded;
    const bytes = () => iterate(kept);
    const release = () => {
      kept = [];
    };
    void this.#upload({ header, bytes, release });
  }

  /** Waits for the state to come in whole; one that does not is given up. */
  addState(header: UploadHeader, state: CapturedState): void {
    this.#underWay += 1;
    state.bytes.then(
      (spool) => {
        this.#underWay -= 1;
        void this.#upload({ header, bytes: () => spool.stream(), release: () => void spool.discard() });
      },
      (error: unknown) => {
        this.#underWay -= 1;
        if (!this.#dropped.signal.aborted) {
          const { code, message } = reasonOf(error, "StateUnreadable");
          this.#events.onGivenUp(code, message);
        }
        this.#events.onProgress();
      },
    );
  }

  /** A coordinator that has just come to lead may want what the one before did not. */
  repeat(): void {
    for (const part of this.#refused.splice(0)) void this.#upload(part);
  }

  /** Breaks uploads off and gives back everything, also what is still to come. */
  drop(): void {
    this.#dropped.abort();
    for (const part of this.#refused.splice(0)) part.release();
  }

  async #upload(part: OwedPart): Promise<void> {
    this.#underWay += 1;
    const { ref, kind, channelId } = part.header;
    const outcome = await this.#client.upload(part, this.#dropped.signal);
    this.#underWay -= 1;
    if (outcome.outcome === "givenUp" && !this.#dropped.signal.aborted) {
      const { code, message } = outcome;
      this.#logger.warn({ ...ref, kind, channelId, code, reason: message }, "upload given up");
      if (code === "NotWanted") this.#refused.push(part);
      else {
        part.release();
        this.#events.onGivenUp(`Upload${code}`, `the ${kind} part was not stored: ${message}`);
      }
    } else part.release();
    this.#events.onProgress();
  }
}

async function* iterate(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
