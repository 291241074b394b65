import {
  documentOf,
  type EndOutcome,
  type SnapshotEffect,
  type SnapshotHappening,
  type SnapshotRef,
  type SnapshotState,
  stepSnapshot,
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

/** Steps one snapshot and performs its effects, as services/coordinator/src/driver/session.ts. */
export class Session {
  readonly state: SnapshotState;
  readonly #term: number;
  readonly #host: Host;
  readonly #store: Store;
  readonly #events: SessionEvents;
  readonly #inputs: SnapshotHappening[] = [];
  readonly #writes: ((done: () => void) => void)[] = [];
  /** Uploads under way, by attempt. */
  readonly traffic = new Set<string>();
  #writing = false;
  #stepping = false;
  #stopped = false;
  #attempt: number;
  /** Grows when an attempt is over: what was begun for it is dropped. */
  #epoch = 0;
  #progressWriting = false;
  #progressAtMs: number;

  constructor(state: SnapshotState, term: number, host: Host, store: Store, events: SessionEvents) {
    this.state = state;
    this.#term = term;
    this.#host = host;
    this.#store = store;
    this.#events = events;
    this.#attempt = state.attempt;
    this.#progressAtMs = host.nowMs;
  }

  get id(): string {
    return this.state.spec.id;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  apply(happening: SnapshotHappening): void {
    if (this.#stopped) return;
    this.#inputs.push(happening);
    if (this.#stepping) return;
    this.#stepping = true;
    for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
      const { effects } = stepSnapshot(this.state, { ...input, nowMs: this.#host.nowMs });
      this.#followAttempt();
      for (const effect of effects) this.#perform(effect);
    }
    this.#stepping = false;
    this.#writeProgress();
  }

  stop(): void {
    this.#stopped = true;
    this.#endAttempt();
  }

  dropLateParts(ref: SnapshotRef): void {
    const current = this.state.attempt === ref.attempt;
    if (!current || this.state.end?.phase === "Failed" || this.state.end?.phase === "Aborted") {
      this.#store.removeParts(this.#term, this.id, ref.attempt);
    }
  }

  #followAttempt(): void {
    const { attempt, stage } = this.state;
    const ended = stage === "ending" || stage === "ended";
    if (attempt === this.#attempt && !ended) return;
    this.#attempt = attempt;
    this.#endAttempt();
  }

  #endAttempt(): void {
    this.#epoch += 1;
    this.traffic.clear();
  }

  #perform(effect: SnapshotEffect): void {
    switch (effect.type) {
      case "note":
        return;
      case "sendEnd":
        this.#events.sendEnd(effect.ref, effect.phase);
        return;
      case "removeParts":
        this.#store.removeParts(this.#term, this.id, effect.attemptThrough);
        return;
      case "persist":
        this.#write((done) =>
          this.#store.update(
            this.#term,
            effect.document,
            this.#host.answer((outcome) => {
              this.apply({ type: "persisted", write: effect.write, outcome });
              done();
            }),
          ),
        );
        return;
      case "verifyParts":
        this.#verify(
          effect.ref,
          effect.parts.map(({ kind, owner, sha256 }) => ({ name: `${kind} ${owner}`, sha256 })),
        );
        return;
      case "publish":
        this.#write((done) =>
          this.#store.publish(
            this.#term,
            effect.document,
            this.#host.answer((outcome) => {
              this.apply({ type: "publication", outcome });
              done();
            }),
          ),
        );
        return;
      case "readBack":
        this.#write((done) =>
          this.#store.get(
            this.id,
            this.#host.answer((stored) => {
              const found =
                stored !== "unknown" && stored?.document.phase === "Completed" ? "completed" : "notCompleted";
              this.apply({ type: "publicationReadBack", outcome: stored === "unknown" ? "unknown" : found });
              done();
            }),
          ),
        );
        return;
      case "sendStart": {
        const { processId, ref, remainingMs, store } = effect;
        this.#events.sendStart(processId, { ref, remainingMs, store });
        return;
      }
      case "ended":
        this.#stopped = true;
        this.#endAttempt();
        this.#events.onEnded(this, effect.outcome);
    }
  }

  /** Writes happen one after another. */
  #write(operation: (done: () => void) => void): void {
    this.#writes.push(operation);
    if (!this.#writing) this.#writeNext();
  }

  #writeNext(): void {
    const operation = this.#writes.shift();
    this.#writing = operation !== undefined;
    operation?.(() => this.#writeNext());
  }

  #writeProgress(): void {
    const { stage } = this.state;
    const running = stage === "cutting" || stage === "collecting" || stage === "verifying";
    if (!running || this.#progressWriting || this.#host.nowMs < this.#progressAtMs + progressMs) return;
    this.#progressWriting = true;
    this.#write((done) => {
      const over = () => {
        this.#progressWriting = false;
        this.#progressAtMs = this.#host.nowMs;
        done();
      };
      if (this.state.stage !== stage || this.#stopped) {
        over();
        return;
      }
      const answer = this.#host.answer((outcome: string) => {
        if (outcome === "fenced") this.apply({ type: "persisted", write: -1, outcome: "fenced" });
        over();
      });
      this.#store.update(this.#term, documentOf(this.state), answer);
    });
  }

  #verify(ref: SnapshotRef, parts: readonly { name: string; sha256: string }[]): void {
    const epoch = this.#epoch;
    let left = parts.length;
    const verified = () => {
      if (left === 0) this.apply({ type: "partsVerified", ref });
    };
    const read = (part: { name: string; sha256: string }) => {
      if (this.#epoch !== epoch) return;
      const answer = this.#host.answer((found: Parameters<Parameters<Store["readPart"]>[3]>[0]) => {
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
      this.#store.readPart(ref.snapshotId, ref.attempt, part.name, answer);
    };
    for (const part of parts) read(part);
    if (parts.length === 0) this.#host.after(0, verified);
  }
}
