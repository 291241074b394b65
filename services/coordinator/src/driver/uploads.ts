import type { StoredPart } from "@cutline/protocol";
import { partName } from "@cutline/protocol";
import { type PartAdmission, type PartOffer, PartRefused, type PartUpload } from "../agents/port.ts";
import { type PartInfo, type PartWriter, type Store, StoreError } from "../store/port.ts";
import type { DriverLimits } from "./limits.ts";
import type { DriverMetrics } from "./metrics.ts";
import type { Session } from "./session.ts";

export interface UploadsOptions {
  readonly store: Pick<Store, "writePart">;
  readonly limits: Pick<DriverLimits, "stateBytesMax" | "snapshotBytesMax" | "partsMax">;
  readonly nowMs: () => number;
  readonly metrics: DriverMetrics;
}

/** Between two signs that a part is still arriving. */
const progressMs = 1_000;

/** What is on its way to the store, by attempt. */
interface Traffic {
  readonly names: Set<string>;
  bytes: number;
}

/** Decides which parts are taken, and takes them to the store within the limits. */
export class Uploads {
  readonly #options: UploadsOptions;
  /** One entry an attempt; it goes when the attempt's signal aborts. */
  readonly #traffic = new Map<AbortSignal, Traffic>();

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  admit(term: number | undefined, session: Session | undefined, offer: PartOffer): PartAdmission {
    const { ref, processId, incarnation, kind, owner } = offer;
    if (term === undefined || session === undefined) return refused(`no snapshot ${ref.snapshotId} runs here`);
    const { state } = session;
    if (ref.attempt !== state.attempt) {
      return refused(`attempt ${ref.attempt} of snapshot ${ref.snapshotId} is over; attempt ${state.attempt} runs`);
    }
    const member = state.members.get(processId);
    if (member === undefined || member.facts.incarnation !== incarnation) {
      return refused(`${processId} (incarnation ${incarnation}) is no part of snapshot ${ref.snapshotId}`);
    }
    if (!member.store) return refused(`${processId} is outside of the scope: nothing of it is stored`);
    const name = partName(kind, owner);
    const known = state.parts.get(name);
    if (known !== undefined) {
      const differs = () =>
        session.apply({ type: "partStored", ref, part: { ...known, processId, sha256: "differs" } });
      return { outcome: "stored", info: known, differs };
    }
    if (state.stage !== "cutting" && state.stage !== "collecting") {
      return refused(`snapshot ${ref.snapshotId} takes no more parts`);
    }
    const traffic = this.#trafficOf(session.attemptSignal);
    if (traffic.names.has(name)) {
      return { outcome: "busy", message: `the part ${name} is being uploaded already; try again` };
    }
    if (state.parts.size + traffic.names.size >= this.#options.limits.partsMax) {
      const message = `an attempt has at most ${this.#options.limits.partsMax} parts`;
      session.apply({ type: "partFailed", ref, processId, kind, code: "StateTooLarge", message });
      return refused(message);
    }
    traffic.names.add(name);
    return { outcome: "accepted", upload: new Upload(this.#options, term, session, offer, traffic) };
  }

  #trafficOf(signal: AbortSignal): Traffic {
    let traffic = this.#traffic.get(signal);
    if (traffic === undefined) {
      traffic = { names: new Set(), bytes: 0 };
      this.#traffic.set(signal, traffic);
      signal.addEventListener("abort", () => this.#traffic.delete(signal), { once: true });
    }
    return traffic;
  }
}

class Upload implements PartUpload {
  readonly signal: AbortSignal;
  readonly #options: UploadsOptions;
  readonly #term: number;
  readonly #session: Session;
  readonly #offer: PartOffer;
  readonly #traffic: Traffic;
  #writer: PartWriter | undefined;
  #bytes = 0;
  #progressAtMs: number;

  constructor(options: UploadsOptions, term: number, session: Session, offer: PartOffer, traffic: Traffic) {
    this.#options = options;
    this.#term = term;
    this.#session = session;
    this.#offer = offer;
    this.#traffic = traffic;
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
    this.#traffic.names.delete(this.#name);
    this.#options.metrics.stored(info.sizeBytes);
    const { ref, kind, owner, processId } = this.#offer;
    const part: StoredPart = { ...info, kind, owner, processId };
    this.#session.apply({ type: "partStored", ref, part });
    this.#session.dropLateParts(ref);
  }

  async abort(): Promise<void> {
    this.#traffic.names.delete(this.#name);
    this.#traffic.bytes -= this.#bytes;
    this.#bytes = 0;
    await this.#writer?.abort();
  }

  get #name(): string {
    return partName(this.#offer.kind, this.#offer.owner);
  }

  async #open(): Promise<PartWriter> {
    const { ref, kind, owner } = this.#offer;
    this.#writer ??= await this.#options.store.writePart(this.#term, { ...ref, kind, owner });
    return this.#writer;
  }

  #checkSignal(): void {
    if (!this.signal.aborted) return;
    const { snapshotId, attempt } = this.#offer.ref;
    throw new PartRefused("AttemptOver", `attempt ${attempt} of snapshot ${snapshotId} is over`);
  }

  #checkLimits(moreBytes: number): void {
    const { stateBytesMax, snapshotBytesMax } = this.#options.limits;
    this.#bytes += moreBytes;
    this.#traffic.bytes += moreBytes;
    if (this.#bytes > stateBytesMax) {
      this.#fail("StateTooLarge", `has more than stateBytesMax = ${stateBytesMax} bytes (${this.#bytes} so far)`);
    }
    if (this.#traffic.bytes > snapshotBytesMax) {
      const all = this.#traffic.bytes;
      this.#fail(
        "StateTooLarge",
        `brings the snapshot over snapshotBytesMax = ${snapshotBytesMax} bytes (${all} so far)`,
      );
    }
  }

  #fail(code: "StateTooLarge", message: string): never {
    const { ref, processId, kind } = this.#offer;
    this.#session.apply({ type: "partFailed", ref, processId, kind, code, message });
    throw new PartRefused(code, `the ${kind} part of ${processId} ${message}`);
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

function refused(message: string): PartAdmission {
  return { outcome: "refused", message };
}
