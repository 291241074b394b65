import {
  createSession,
  EffectLine,
  type EndOutcome,
  type SessionAnswer,
  type SessionEffect,
  type SessionInput,
  type SessionState,
  type SessionWrite,
  type SnapshotHappening,
  type SnapshotRef,
  type SnapshotState,
  type StoredPart,
  stepSession,
  type WriteOutcome,
} from "@cutline/protocol";
import type { Host } from "./host.ts";
import type { StartMessage } from "./messages.ts";
import type { Store } from "./store.ts";

export interface SessionEvents {
  sendStart(process: string, start: StartMessage): void;
  sendEnd(ref: SnapshotRef, phase: string): void;
  onEnded(session: Session, outcome: EndOutcome): void;
}

const progressMs = 150;
const verifyRetryMs = 40;

/** An input without its time. */
type Untimed = SessionInput extends infer I ? (I extends SessionInput ? Omit<I, "nowMs"> : never) : never;

/** Drives one snapshot: performs what its session asks for, on the simulated store. */
export class Session {
  readonly machine: SessionState;
  readonly #term: number;
  readonly #host: Host;
  readonly #store: Store;
  readonly #events: SessionEvents;
  readonly #effects = new EffectLine<SessionEffect>((effect) => this.#perform(effect));
  /** Grows when an attempt is over: reading its parts back is given up. */
  #epoch = 0;

  constructor(state: SnapshotState, term: number, host: Host, store: Store, events: SessionEvents) {
    this.machine = createSession(state, term, progressMs, host.nowMs);
    this.#term = term;
    this.#host = host;
    this.#store = store;
    this.#events = events;
  }

  get id(): string {
    return this.machine.snapshot.spec.id;
  }

  apply(happening: SnapshotHappening): void {
    this.#step({ type: "happened", happening });
  }

  committed(ref: SnapshotRef, part: StoredPart): void {
    this.#step({ type: "committed", ref, part });
  }

  stop(): void {
    this.#step({ type: "stop" });
  }

  #step(input: Untimed): void {
    this.#effects.add(stepSession(this.machine, { ...input, nowMs: this.#host.nowMs } as SessionInput));
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case "note":
        return;
      case "attemptOver":
        this.#epoch += 1;
        return;
      case "sendEnd":
        this.#events.sendEnd(effect.ref, effect.phase);
        return;
      case "removeParts":
        this.#store.removeParts(this.#term, this.id, effect.attemptThrough);
        return;
      case "verifyParts":
        this.#verify(
          effect.ref,
          effect.parts.map(({ kind, owner, sha256 }) => ({ name: `${kind} ${owner}`, sha256 })),
        );
        return;
      case "write":
        this.#write(effect.write);
        return;
      case "sendStart": {
        const { processId, ref, remainingMs, store } = effect;
        this.#events.sendStart(processId, { ref, remainingMs, store });
        return;
      }
      case "ended":
        this.#events.onEnded(this, effect.outcome);
    }
  }

  #write(write: SessionWrite): void {
    const answered = this.#host.answer((answer: SessionAnswer) => this.#step({ type: "answered", answer }));
    const { kind } = write;
    switch (kind) {
      case "persist":
      case "progress":
        this.#store.update(this.#term, write.document, (outcome: WriteOutcome) => answered({ kind, outcome }));
        return;
      case "publish":
        this.#store.publish(this.#term, write.document, (outcome) => answered({ kind, outcome }));
        return;
      case "readBack":
        this.#store.get(this.id, (stored) => {
          if (stored === "unknown") answered({ kind, outcome: "unknown" });
          else answered({ kind, outcome: stored?.document.phase === "Completed" ? "completed" : "notCompleted" });
        });
    }
  }

  #verify(ref: SnapshotRef, parts: readonly { name: string; sha256: string }[]): void {
    const epoch = this.#epoch;
    let left = parts.length;
    const verified = () => {
      if (left === 0) this.apply({ type: "partsVerified", ref });
    };
    const read = (part: { name: string; sha256: string }) => {
      if (this.#epoch !== epoch) return;
      const answer = this.#host.answer((found: Parameters<Parameters<Store["readPart"]>[1]>[0]) => {
        if (this.#epoch !== epoch) return;
        if (found === "unknown") {
          this.#host.after(verifyRetryMs, () => read(part));
        } else if (found?.digest !== part.sha256) {
          this.apply({ type: "partsCorrupt", ref, message: `${part.name} reads back as something else` });
        } else {
          left -= 1;
          verified();
        }
      });
      this.#store.readPart({ ...ref, name: part.name }, answer);
    };
    for (const part of parts) read(part);
    if (parts.length === 0) this.#host.after(0, verified);
  }
}
