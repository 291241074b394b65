import {
  admitUpload,
  differingUpload,
  endUpload,
  growUpload,
  isUploadOver,
  type UploadLimits,
  type UploadState,
} from "@cutline/protocol";
import { type PartAdmission, type PartOffer, PartRefused, type PartUpload } from "../agents/port.ts";
import { type PartInfo, type PartWriter, type Store, StoreError } from "../store/port.ts";
import type { DriverMetrics } from "./metrics.ts";
import type { Session } from "./session.ts";

export interface UploadsOptions {
  readonly store: Pick<Store, "writePart">;
  readonly limits: UploadLimits;
  readonly nowMs: () => number;
  readonly metrics: DriverMetrics;
}

/** Between two signs that a part is still arriving. */
const progressMs = 1_000;

/** Takes the parts that are wanted to the store, within the limits. */
export class Uploads {
  readonly #options: UploadsOptions;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  admit(term: number | undefined, session: Session | undefined, offer: PartOffer): PartAdmission {
    const admission = admitUpload(term, session?.machine, offer, this.#options.limits);
    if (term === undefined || session === undefined) {
      return { outcome: "refused", message: `no snapshot ${offer.ref.snapshotId} runs here` };
    }
    switch (admission.outcome) {
      case "accepted":
        return { outcome: "accepted", upload: new Upload(this.#options, term, session, offer, admission.upload) };
      case "stored": {
        const { part } = admission;
        return { outcome: "stored", info: part, differs: () => session.apply(differingUpload(offer, part)) };
      }
      case "busy":
        return admission;
      case "refused":
        if (admission.failure !== undefined) session.apply(admission.failure);
        return { outcome: "refused", message: admission.message };
    }
  }
}

class Upload implements PartUpload {
  readonly signal: AbortSignal;
  readonly #options: UploadsOptions;
  readonly #term: number;
  readonly #session: Session;
  readonly #offer: PartOffer;
  readonly #state: UploadState;
  #writer: PartWriter | undefined;
  #progressAtMs: number;

  constructor(options: UploadsOptions, term: number, session: Session, offer: PartOffer, state: UploadState) {
    this.#options = options;
    this.#term = term;
    this.#session = session;
    this.#offer = offer;
    this.#state = state;
    this.signal = session.attemptSignal;
    this.#progressAtMs = options.nowMs();
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#checkLimits(chunk.length);
    this.#checkSignal();
    await this.#toStore(async () => (await this.#open()).write(chunk));
    const nowMs = this.#options.nowMs();
    if (nowMs >= this.#progressAtMs + progressMs) {
      this.#progressAtMs = nowMs;
      this.#session.apply({ type: "partProgress", ref: this.#offer.ref });
    }
  }

  async commit(info: PartInfo): Promise<void> {
    this.#checkSignal();
    await this.#toStore(async () => (await this.#open()).commit(info));
    endUpload(this.#state, "committed");
    this.#options.metrics.stored(info.sizeBytes);
    const { ref, kind, owner, processId } = this.#offer;
    this.#session.committed(ref, { ...info, kind, owner, processId });
  }

  async abort(): Promise<void> {
    endUpload(this.#state, "givenUp");
    await this.#writer?.abort();
  }

  async #open(): Promise<PartWriter> {
    const { ref, kind, owner } = this.#offer;
    this.#writer ??= await this.#options.store.writePart(this.#term, { ...ref, kind, owner });
    return this.#writer;
  }

  #checkSignal(): void {
    if (!isUploadOver(this.#session.machine, this.#state)) return;
    const { snapshotId, attempt } = this.#offer.ref;
    throw new PartRefused("AttemptOver", `attempt ${attempt} of snapshot ${snapshotId} is over`);
  }

  #checkLimits(moreBytes: number): void {
    const failure = growUpload(this.#state, moreBytes, this.#options.limits);
    if (failure === undefined) return;
    this.#session.apply(failure);
    const { processId, kind } = this.#offer;
    throw new PartRefused("StateTooLarge", `the ${kind} part of ${processId} ${failure.message}`);
  }

  /** A store that is full does not get emptier by trying: the attempt is given up. */
  async #toStore(operation: () => Promise<void>): Promise<void> {
    try {
      await operation();
    } catch (error) {
      // The end of an attempt removes its parts under those who write them: what they then meet is no fault of the store.
      this.#checkSignal();
      if (error instanceof StoreError && error.code === "StoreFull") {
        const { ref, processId, kind } = this.#offer;
        this.#session.apply({ type: "partFailed", ref, processId, kind, code: "StoreFull", message: error.message });
      }
      throw error;
    }
  }
}
