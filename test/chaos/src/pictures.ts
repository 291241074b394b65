import { setTimeout as sleep } from "node:timers/promises";
import { verifyGlobalState } from "@cutline/cli";
import { RestProblem, until } from "@cutline/e2e";
import { auditState } from "./audit.ts";
import type { ChaosMesh } from "./mesh.ts";

export interface PictureCounts {
  taken: number;
  exact: number;
  flagged: number;
  /** By reason. */
  readonly failed: Map<string, number>;
  inFlight: number;
  tokensInFlight: number;
  callsChecked: number;
}

const timeoutMs = 25_000;
/** After one that could not be taken. */
const restMs = 200;

/** Takes snapshots one after another, removes those that are right, and says what is wrong with the others. */
export class Pictures {
  readonly counts: PictureCounts = {
    taken: 0,
    exact: 0,
    flagged: 0,
    failed: new Map(),
    inFlight: 0,
    tokensInFlight: 0,
    callsChecked: 0,
  };
  readonly wrong: string[] = [];
  readonly #mesh: ChaosMesh;

  constructor(mesh: ChaosMesh) {
    this.#mesh = mesh;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.take();
  }

  /** `exact`: it completed, says that it is exact, and is. */
  async take(): Promise<"exact" | "other"> {
    const { rest } = this.#mesh;
    try {
      const down = this.#down();
      const snapshot = await rest.take({ attempts: 1, timeoutMs });
      this.counts.taken += 1;
      const outcome =
        snapshot.phase === "Completed"
          ? await this.#judge(snapshot.id, snapshot, new Set([...down, ...this.#down()]))
          : this.#failed(snapshot.reason);
      await this.#remove(snapshot.id);
      if (outcome !== "exact") await sleep(restMs);
      return outcome;
    } catch (error) {
      if (!(error instanceof RestProblem)) throw error;
      // Refused, for example because a process that was killed is not back.
      this.#failed(error.code || `HTTP ${error.status}`);
      this.counts.taken += 1;
      await sleep(restMs);
      return "other";
    }
  }

  #down(): string[] {
    return this.#mesh.places.filter(({ standing }) => standing === "down").map(({ name }) => name);
  }

  /** For a moment after its end it may still count as running. */
  async #remove(id: string): Promise<void> {
    await until(`the removal of snapshot ${id}`, async () => {
      try {
        await this.#mesh.rest.remove(id);
        return "removed";
      } catch (error) {
        if (error instanceof RestProblem && error.code === "SnapshotRunning") return undefined;
        throw error;
      }
    });
  }

  #failed(reason: string): "other" {
    if (reason === "") this.wrong.push("a snapshot failed and says no reason");
    this.counts.failed.set(reason, (this.counts.failed.get(reason) ?? 0) + 1);
    return "other";
  }

  async #judge(
    id: string,
    claims: { readonly exact: boolean; readonly partial: boolean; readonly reasons: readonly unknown[] },
    mayMiss: ReadonlySet<string>,
  ): Promise<"exact" | "other"> {
    const state = await this.#mesh.rest.state(id);
    const { violations } = await verifyGlobalState(piecesOf(state));
    this.wrong.push(...violations.map(({ code, message }) => `snapshot ${id}: verify: ${code}: ${message}`));
    if (!claims.exact || claims.partial) {
      this.counts.flagged += 1;
      if (claims.reasons.length === 0) this.wrong.push(`snapshot ${id} is flagged and gives no reason`);
      return "other";
    }
    const audit = auditState(state, mayMiss);
    this.wrong.push(...audit.problems.map((problem) => `snapshot ${id}: ${problem}`));
    this.counts.exact += 1;
    this.counts.inFlight += audit.inFlight;
    this.counts.tokensInFlight += audit.tokens;
    this.counts.callsChecked += audit.calls;
    return "exact";
  }
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
