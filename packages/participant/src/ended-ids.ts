import type { NumberSet } from "@cutline/proto/participant";

/** Ids of ended outgoing calls that one `Receipts` stream has not reported yet: ranges in ascending order. */
export class EndedIds {
  #ranges: { first: number; through: number }[] = [];

  /** Everything from 1 to `last` but those still open. */
  static allBut(last: number, open: Iterable<number>): EndedIds {
    const ended = new EndedIds();
    let first = 1;
    for (const id of [...open].sort((a, b) => a - b)) {
      if (first < id) ended.#ranges.push({ first, through: id - 1 });
      first = id + 1;
    }
    if (first <= last) ended.#ranges.push({ first, through: last });
    return ended;
  }

  get empty(): boolean {
    return this.#ranges.length === 0;
  }

  /** Each id once. */
  add(id: number): void {
    let at = this.#ranges.length;
    for (let range = this.#ranges[at - 1]; range !== undefined && range.first > id; range = this.#ranges[at - 1])
      at -= 1;
    const before = this.#ranges[at - 1];
    const after = this.#ranges[at];
    if (before?.through === id - 1 && after?.first === id + 1) {
      before.through = after.through;
      this.#ranges.splice(at, 1);
    } else if (before?.through === id - 1) before.through = id;
    else if (after?.first === id + 1) after.first = id;
    else this.#ranges.splice(at, 0, { first: id, through: id });
  }

  /** Removes and returns one message's worth: the lowest range, and up to `alsoMax` ids in short ranges after it. */
  take(alsoMax: number): NumberSet | undefined {
    const lowest = this.#ranges[0];
    if (lowest === undefined) return undefined;
    const also: number[] = [];
    let taken = 1;
    for (let range = this.#ranges[taken]; range !== undefined; range = this.#ranges[taken]) {
      if (also.length + range.through - range.first + 1 > alsoMax) break;
      for (let id = range.first; id <= range.through; id += 1) also.push(id);
      taken += 1;
    }
    this.#ranges.splice(0, taken);
    return { ...lowest, also };
  }
}
