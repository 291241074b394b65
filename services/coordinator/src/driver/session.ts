import type { EndSnapshot, StartSnapshot } from "@cutline/proto/control";
import type { Snapshot } from "@cutline/proto/snapshot";
import {
  createSession,
  documentOf,
  EffectLine,
  type EndOutcome,
  type SessionAnswer,
  type SessionEffect,
  type SessionInput,
  type SessionState,
  type SessionWrite,
  type SnapshotHappening,
  type SnapshotNote,
  type SnapshotRef,
  type SnapshotState,
  type StoredPart,
  stepSession,
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

/** An input without its time. */
type Untimed = SessionInput extends infer I ? (I extends SessionInput ? Omit<I, "nowMs"> : never) : never;

/** Drives one snapshot: performs what its session asks for, in that order. */
export class Session {
  /** What decides; nobody else changes it. */
  readonly machine: SessionState;
  readonly #options: SessionOptions;
  readonly #logger: Logger;
  readonly #effects = new EffectLine<SessionEffect>((effect) => this.#perform(effect));
  #attempt = new AbortController();
  #writing: Promise<void> = Promise.resolve();
  readonly #over = Promise.withResolvers<void>();

  constructor(options: SessionOptions) {
    const { state, term, progressMs, nowMs, logger } = options;
    this.machine = createSession(state, term, progressMs, nowMs());
    this.#options = options;
    this.#logger = logger.child({ snapshotId: state.spec.id });
  }

  get state(): SnapshotState {
    return this.machine.snapshot;
  }

  get id(): string {
    return this.state.spec.id;
  }

  /** Aborted when the attempt that runs now is over. */
  get attemptSignal(): AbortSignal {
    return this.#attempt.signal;
  }

  /** Resolves when its end is with the store, or another replica's affair; after `withinMs` in any case. */
  async over(withinMs: number): Promise<void> {
    const timedOut = Promise.withResolvers<void>();
    const timer = setTimeout(timedOut.resolve, withinMs);
    await Promise.race([this.#over.promise, timedOut.promise]);
    clearTimeout(timer);
  }

  snapshot(): Snapshot {
    return toSnapshot(documentOf(this.state), this.#options.term);
  }

  apply(happening: SnapshotHappening): void {
    this.#step({ type: "happened", happening });
  }

  /** The store has taken a part of this attempt. */
  committed(ref: SnapshotRef, part: StoredPart): void {
    this.#step({ type: "committed", ref, part });
  }

  /** Nothing more is said or written, beyond what is on its way. Resolves when that has ended. */
  async stop(): Promise<void> {
    this.#step({ type: "stop" });
    this.#over.resolve();
    // The answer to one write sets the next one off.
    for (let last: Promise<void> | undefined; last !== this.#writing; ) {
      last = this.#writing;
      await last;
    }
  }

  #step(input: Untimed): void {
    this.#effects.add(stepSession(this.machine, { ...input, nowMs: this.#options.nowMs() } as SessionInput));
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case "note":
        this.#note(effect);
        return;
      case "attemptOver":
        this.#attempt.abort();
        this.#attempt = new AbortController();
        return;
      case "sendEnd":
        this.#options.sendEnd({ ref: effect.ref, phase: effect.phase, reason: effect.reason });
        return;
      case "removeParts":
        void this.#removeParts(effect.attemptThrough);
        return;
      case "verifyParts":
        void this.#verify(effect.ref, effect.parts);
        return;
      case "write":
        this.#writing = this.#write(effect.write)
          .catch((error: unknown): SessionAnswer => {
            this.#logger.error({ error }, "write failed unexpectedly");
            return { kind: effect.write.kind, outcome: "unknown" };
          })
          .then((answer) => this.#step({ type: "answered", answer }));
        return;
      case "sendStart": {
        const { processId, ref, remainingMs, store: stores } = effect;
        this.#options.sendStart(processId, { ref, remainingMs, store: stores });
        return;
      }
      case "ended":
        this.#options.onEnded(this, effect.outcome);
        this.#over.resolve();
    }
  }

  async #write(write: SessionWrite): Promise<SessionAnswer> {
    const { term, store } = this.#options;
    switch (write.kind) {
      case "persist":
      case "progress": {
        const what = write.kind === "persist" ? "document not written" : "progress not written";
        const document = toSnapshot(write.document, term);
        return { kind: write.kind, outcome: await this.#try(what, () => store.update(term, document)) };
      }
      case "publish": {
        const published = toPublished(write.document, write.certificateText, term);
        const outcome = await this.#try("publication not confirmed", () => store.publish(term, published));
        return { kind: "publish", outcome };
      }
      case "readBack": {
        const outcome = await this.#try("publication not read back", async () => {
          const stored = await store.get(this.id);
          return stored?.phase === "Completed" ? ("completed" as const) : ("notCompleted" as const);
        });
        return { kind: "readBack", outcome: outcome === "fenced" ? "unknown" : outcome };
      }
    }
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

  #note({ level, event, fields }: Extract<SessionEffect, { type: "note" }>): void {
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
