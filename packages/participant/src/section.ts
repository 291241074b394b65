import { AsyncLocalStorage } from "node:async_hooks";
import { SectionLock } from "./lock.ts";
import { isThenable } from "./thenable.ts";

/** What a section waits for: an answer, the next message, room to write, an inner section. Compared by identity. */
export type Wait = symbol;

export interface SectionKind<Call> {
  /** Names the section in the message about a missed deadline. */
  readonly label: string;
  /** The incoming call on whose behalf it runs. */
  readonly incoming: Call | undefined;
  /** `throughout`: held between turns until it ends or waits. `turn`: let go after each turn that enters it. */
  readonly held: "throughout" | "turn";
}

/**
 * Work that a capture sees whole or not at all. It holds a share of the lock while it runs, and lets go at the end of
 * the turn (the synchronous run and its microtasks) in which it began to wait.
 */
export class Section<Call> {
  readonly label: string;
  readonly incoming: Call | undefined;
  readonly #sections: Sections<Call>;
  readonly #waits = new Set<Wait>();
  #held: "throughout" | "turn";
  #bodies = 0;
  #ended = false;
  #heldSinceMs: number | undefined;
  #settling = false;
  #entering: (() => void)[] | undefined;

  constructor(sections: Sections<Call>, kind: SectionKind<Call>) {
    this.#sections = sections;
    this.label = kind.label;
    this.incoming = kind.incoming;
    this.#held = kind.held;
  }

  get holding(): boolean {
    return this.#heldSinceMs !== undefined;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Milliseconds since it took the lock, 0 when it does not hold it. */
  heldForMs(): number {
    return this.#heldSinceMs === undefined ? 0 : performance.now() - this.#heldSinceMs;
  }

  /** Runs in the section: now when it holds the lock or can have it, otherwise after the capture, in order. */
  enter(run: () => void): void {
    if (this.#entering !== undefined) {
      this.#entering.push(AsyncLocalStorage.bind(() => this.#run(run)));
      return;
    }
    if (this.holding) {
      this.#run(run);
      return;
    }
    const waiting: (() => void)[] = [];
    let outcome: "granted" | "waiting" | undefined;
    this.#entering = waiting;
    this.#sections.lock.enter(this, () => {
      this.#heldSinceMs = performance.now();
      this.#entering = undefined;
      if (outcome === "waiting") for (const each of waiting) runApart(each);
      else {
        outcome = "granted";
        this.#run(run);
      }
    });
    if (outcome === "granted") return;
    outcome = "waiting";
    waiting.push(AsyncLocalStorage.bind(() => this.#run(run)));
  }

  /** Begins to wait: the lock goes at the end of this turn, unless the wait is over by then. */
  park(wait: Wait): void {
    this.#waits.add(wait);
    this.#settle();
  }

  /** Ends a wait and runs `deliver` in the section. */
  resume(wait: Wait, deliver: () => void): void {
    this.enter(() => {
      this.#waits.delete(wait);
      deliver();
    });
  }

  /** Takes back a wait that turned out to be none. */
  forget(wait: Wait): void {
    this.#waits.delete(wait);
  }

  /** Inside the body of a `for await` loop the section is held, whatever its kind. */
  enterBody(): void {
    this.#bodies += 1;
  }

  leaveBody(): void {
    this.#bodies -= 1;
    this.#settle();
  }

  holdThroughout(): void {
    this.#held = "throughout";
  }

  /** From now on it is let go after each turn. */
  end(): void {
    this.#ended = true;
    this.#settle();
  }

  /** A share inside `outer`, which holds the lock and waits for this section to end. */
  joinWithin(outer: Section<Call>): void {
    this.#sections.lock.join(this, outer);
    this.#heldSinceMs = performance.now();
    this.#settle();
  }

  #run(run: () => void): void {
    try {
      this.#sections.inside(this, run);
    } finally {
      this.#settle();
    }
  }

  #settle(): void {
    if (this.#settling || !this.holding) return;
    this.#settling = true;
    queueMicrotask(() => {
      this.#settling = false;
      if (!this.holding || this.#stays()) return;
      this.#heldSinceMs = undefined;
      this.#sections.lock.leave(this);
    });
  }

  #stays(): boolean {
    return !this.#ended && this.#waits.size === 0 && (this.#held === "throughout" || this.#bodies > 0);
  }
}

/** Knows the section that the running code belongs to, through every callback and `await`. */
export class Sections<Call> {
  readonly lock: SectionLock<Section<Call>>;
  readonly #current = new AsyncLocalStorage<Section<Call>>();

  constructor(lock: SectionLock<Section<Call>> = new SectionLock()) {
    this.lock = lock;
  }

  /** The section that the running code belongs to; `undefined` outside, and after it has ended. */
  current(): Section<Call> | undefined {
    const section = this.#current.getStore();
    return section === undefined || section.ended ? undefined : section;
  }

  create(kind: SectionKind<Call>): Section<Call> {
    return new Section(this, kind);
  }

  inside<Result>(section: Section<Call>, run: () => Result): Result {
    return this.#current.run(section, run);
  }

  /** Runs `work` in a section of its own, inside the current one if that holds the lock. */
  atomic<Result>(work: () => Result | PromiseLike<Result>, label: string): Promise<Result> {
    const current = this.current();
    const inner = this.create({ label, incoming: current?.incoming, held: "throughout" });
    const outer = current?.holding === true ? current : undefined;
    const wait: Wait = Symbol("an inner section");
    if (outer !== undefined) {
      inner.joinWithin(outer);
      outer.park(wait);
    }
    return new Promise<Result>((resolve, reject) => {
      // The outer section takes its share again before the inner one lets go of its own, so nothing fits between.
      const end = (deliver: () => void): void => {
        if (outer === undefined) deliver();
        else {
          if (inner.holding && !outer.holding) outer.joinWithin(inner);
          outer.resume(wait, deliver);
        }
        inner.end();
      };
      inner.enter(() => {
        let result: Result | PromiseLike<Result>;
        try {
          result = work();
        } catch (error) {
          end(() => reject(error));
          return;
        }
        if (!isThenable(result)) {
          const value = result;
          end(() => resolve(value));
          return;
        }
        result.then(
          (value) => end(() => resolve(value)),
          (error: unknown) => end(() => reject(error)),
        );
      });
    });
  }
}

/** As the turn it would have had alone: what it throws is uncaught, and the next one runs all the same. */
function runApart(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
