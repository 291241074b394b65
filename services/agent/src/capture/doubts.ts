import type { Reason } from "@cutline/proto/snapshot";

/** What keeps a cut from being exact; one sentence for each code. */
export class Doubts {
  readonly #messages = new Map<string, string>();

  add(code: string, message: string): void {
    this.#messages.set(code, message);
  }

  get codes(): string[] {
    return [...this.#messages.keys()];
  }

  get isEmpty(): boolean {
    return this.#messages.size === 0;
  }

  reasons(processId: string): Reason[] {
    return [...this.#messages].map(([code, message]) => ({ code, message, processId }));
  }
}

/** `1 call`, `2 calls`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
