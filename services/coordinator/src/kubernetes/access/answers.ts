import { CutlineError } from "@cutline/runtime";

export interface AnswersOptions {
  /** Of each kind. */
  readonly cachedMax: number;
  /** How long a yes holds, and a no. */
  readonly yesMs: number;
  readonly noMs: number;
  /** Questions that are open at a time. */
  readonly openMax: number;
  readonly nowMs: () => number;
}

export class TooManyQuestions extends CutlineError<"TooManyRequests"> {}

interface Kept<Answer> {
  readonly answer: Answer;
  readonly untilMs: number;
}

/**
 * Answers that hold for a while, and one question for all who ask the same at once. Yes and no are kept apart, so that
 * a flood of wrong tokens does not push the right ones out. That there was no answer is never kept.
 */
export class Answers<Answer> {
  readonly #options: AnswersOptions;
  readonly #isYes: (answer: Answer) => boolean;
  /** The oldest first. */
  readonly #yes = new Map<string, Kept<Answer>>();
  readonly #no = new Map<string, Kept<Answer>>();
  readonly #open = new Map<string, Promise<Answer>>();

  constructor(isYes: (answer: Answer) => boolean, options: AnswersOptions) {
    this.#isYes = isYes;
    this.#options = options;
  }

  /** Rejects with what `ask` rejects with, or with `TooManyQuestions`. */
  async find(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const kept = this.#kept(this.#yes, key) ?? this.#kept(this.#no, key);
    if (kept !== undefined) return kept.answer;
    const open = this.#open.get(key);
    if (open !== undefined) return await open;
    if (this.#open.size >= this.#options.openMax) {
      throw new TooManyQuestions("TooManyRequests", `${this.#options.openMax} questions are open already`);
    }
    const asked = ask()
      .then((answer) => this.#keep(key, answer))
      .finally(() => this.#open.delete(key));
    this.#open.set(key, asked);
    return await asked;
  }

  #kept(from: Map<string, Kept<Answer>>, key: string): Kept<Answer> | undefined {
    const kept = from.get(key);
    if (kept === undefined || this.#options.nowMs() < kept.untilMs) return kept;
    from.delete(key);
    return undefined;
  }

  #keep(key: string, answer: Answer): Answer {
    const { yesMs, noMs, nowMs, cachedMax } = this.#options;
    const isYes = this.#isYes(answer);
    const [into, keptMs] = isYes ? [this.#yes, yesMs] : [this.#no, Math.min(noMs, yesMs)];
    if (keptMs === 0) return answer;
    into.delete(key);
    for (const [oldest] of into) {
      if (into.size < cachedMax) break;
      into.delete(oldest);
    }
    into.set(key, { answer, untilMs: nowMs() + keptMs });
    return answer;
  }
}
