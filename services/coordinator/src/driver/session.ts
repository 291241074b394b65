import type { EndSnapshot, StartSnapshot } from "@cutline/proto/control";
import type { Snapshot } from "@cutline/proto/snapshot";
import {
  documentOf,
  type EndOutcome,
  type SnapshotEffect,
  type SnapshotHappening,
  type SnapshotNote,
  type SnapshotRef,
  type SnapshotState,
  stepSnapshot,
} from "@cutline/protocol";
import type { Logger } from "@cutline/runtime";
import { type Store, StoreError } from "../store/port.ts";
import { toPublished, toSnapshot } from "./documents.ts";
import type { DriverMetrics } from "./metrics.ts";
import { verifyParts } from "./verify-parts.ts";

export interface SessionOptions {
  readonly state: SnapshotState;
  readonly term: number;
  readonly store: Store;
  readonly progressMs: number;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics: DriverMetrics;
  readonly sendStart: (processId: string, start: StartSnapshot) => void;
  readonly sendEnd: (end: EndSnapshot) => void;
  readonly onEnded: (session: Session, outcome: EndOutcome) => void;
}

/** Steps one snapshot and performs what it asks for. Its writes to the store happen one after another. */
export class Session {
  readonly state: SnapshotState;
  readonly #options: SessionOptions;
  readonly #logger: Logger;
  readonly #inputs: SnapshotHappening[] = [];
  #stepping = false;
  #stopped = false;
  #attempt = new AbortController();
  #attemptNumber: number;
  #writes: Promise<void> = Promise.resolve();
  #progressWriting = false;
  #progressAtMs: number;
  /** The attempt whose processes the store knows: a take-over waits for these. */
  #progressAttempt = 0;

  constructor(options: SessionOptions) {
    this.state = options.state;
    this.#options = options;
    this.#logger = options.logger.child({ snapshotId: options.state.spec.id });
    this.#attemptNumber = options.state.attempt;
    this.#progressAtMs = options.nowMs();
  }

  get id(): string {
    return this.state.spec.id;
  }

  /** Aborted when the attempt that runs now is over. */
  get attemptSignal(): AbortSignal {
    return this.#attempt.signal;
  }

  snapshot(): Snapshot {
    return toSnapshot(documentOf(this.state), this.#options.term);
  }

  /** An effect may set off another input before this one is done with; then that one waits. */
  apply(happening: SnapshotHappening): void {
    if (this.#stopped) return;
    this.#inputs.push(happening);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
        const { effects } = stepSnapshot(this.state, { ...input, nowMs: this.#options.nowMs() });
        this.#followAttempt();
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#stepping = false;
    }
    this.#writeProgress();
  }

  /** Nothing more is said or written, beyond what is on its way. Resolves when that has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#attempt.abort();
    await this.#writes;
  }

  #followAttempt(): void {
    const { attempt, stage } = this.state;
    const ended = stage === "ending" || stage === "ended";
    if (attempt === this.#attemptNumber && !ended) return;
    this.#attempt.abort();
    if (attempt === this.#attemptNumber) return;
    this.#attemptNumber = attempt;
    if (!ended) this.#attempt = new AbortController();
  }

  #perform(effect: SnapshotEffect): void {
    const { term, store } = this.#options;
    switch (effect.type) {
      case "note":
        this.#note(effect);
        return;
      case "sendEnd":
        this.#options.sendEnd({ ref: effect.ref, phase: effect.phase, reason: effect.reason });
        return;
      case "removeParts":
        void this.#removeParts(effect.attemptThrough);
        return;
      case "persist": {
        const document = toSnapshot(effect.document, term);
        this.#write(async () => {
          const outcome = await this.#try("document not written", () => store.update(term, document));
          this.apply({ type: "persisted", write: effect.write, outcome });
        });
        return;
      }
      case "verifyParts":
        void this.#verify(effect.ref, effect.parts);
        return;
      case "publish": {
        const published = toPublished(effect.document, effect.certificateText, term);
        this.#write(async () => {
          const outcome = await this.#try("publication not confirmed", () => store.publish(term, published));
          this.apply({ type: "publication", outcome });
        });
        return;
      }
      case "readBack":
        this.#write(async () => {
          const outcome = await this.#try("publication not read back", async () => {
            const stored = await store.get(this.id);
            return stored?.phase === "Completed" ? ("completed" as const) : ("notCompleted" as const);
          });
          this.apply({ type: "publicationReadBack", outcome: outcome === "fenced" ? "unknown" : outcome });
        });
        return;
      case "sendStart": {
        const { processId, ref, remainingMs, store: stores } = effect;
        this.#options.sendStart(processId, { ref, remainingMs, store: stores });
        return;
      }
      case "ended":
        this.#stopped = true;
        this.#attempt.abort();
        this.#options.onEnded(this, effect.outcome);
    }
  }

  #write(operation: () => Promise<void>): void {
    this.#writes = this.#writes.then(operation).catch((error: unknown) => {
      this.#logger.error({ error }, "write failed unexpectedly");
    });
  }

  async #try<Outcome>(message: string, operation: () => Promise<Outcome>): Promise<Outcome | "fenced" | "unknown"> {
    try {
      return await operation();
    } catch (error) {
      if (error instanceof StoreError && error.code === "StoreFenced") return "fenced";
      this.#logger.warn({ error }, message);
      return "unknown";
    }
  }

  /** At most one progress write waits at a time, and the next one comes `progressMs` after it; an attempt's first at once. */
  #writeProgress(): void {
    const { nowMs, progressMs, store, term } = this.#options;
    const { stage, attempt } = this.state;
    const running = stage === "cutting" || stage === "collecting" || stage === "verifying";
    const due = attempt !== this.#progressAttempt || nowMs() >= this.#progressAtMs + progressMs;
    if (!running || this.#progressWriting || !due) return;
    this.#progressWriting = true;
    this.#progressAttempt = attempt;
    this.#write(async () => {
      // Phases that another attempt or the end has made obsolete are not written any more.
      if (this.state.stage === stage && !this.#stopped) {
        const outcome = await this.#try("progress not written", () => store.update(term, this.snapshot()));
        if (outcome === "fenced") this.apply({ type: "persisted", write: -1, outcome });
      }
      this.#progressWriting = false;
      this.#progressAtMs = nowMs();
    });
  }

  async #verify(ref: SnapshotRef, parts: Parameters<typeof verifyParts>[2]): Promise<void> {
    try {
      const verdict = await verifyParts(this.#options.store, ref, parts, this.#attempt.signal, this.#logger);
      if (verdict.outcome === "verified") this.apply({ type: "partsVerified", ref });
      if (verdict.outcome === "corrupt") this.apply({ type: "partsCorrupt", ref, message: verdict.message });
    } catch (error) {
      this.#logger.error({ error }, "parts could not be read back");
      this.apply({ type: "partsCorrupt", ref, message: "reading the parts back failed; the log says why" });
    }
  }

  async #removeParts(attemptThrough: number): Promise<void> {
    const { store, term } = this.#options;
    try {
      await store.removeParts(term, this.id, attemptThrough);
    } catch (error) {
      // They go with the snapshot when retention or a caller removes it.
      this.#logger.warn({ attemptThrough, error }, "parts of an attempt that failed are left behind");
    }
  }

  /** Removes what an upload committed after its attempt was over. */
  dropLateParts(ref: SnapshotRef): void {
    const current = this.state.attempt === ref.attempt;
    if (!current || this.state.end?.phase === "Failed" || this.state.end?.phase === "Aborted") {
      void this.#removeParts(ref.attempt);
    }
  }

  #note({ level, event, fields }: Extract<SnapshotEffect, { type: "note" }>): void {
    this.#logger[level](fields, noteMessages[event]);
    if (event === "processCut" && typeof fields.pauseUs === "number") this.#options.metrics.paused(fields.pauseUs);
  }
}

const noteMessages: Readonly<Record<SnapshotNote, string>> = {
  attemptStarted: "attempt started",
  attemptFailed: "attempt failed",
  processCut: "process cut",
  allCut: "all processes cut",
  certificateValid: "certificate valid",
  publicationUnknown: "publication unknown",
  snapshotCompleted: "snapshot completed",
  snapshotFailed: "snapshot failed",
  snapshotAborted: "snapshot aborted",
  snapshotSuperseded: "snapshot superseded",
  reportIgnored: "report ignored",
};
