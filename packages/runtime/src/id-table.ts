/**
 * Objects by positive integers below 2^31, for tables whose entries come and go with every call. A `Map` leaves its outgrown tables behind
 * as garbage that keeps what was in them alive until a full collection; this one is two arrays that are used again.
 * Open addressing with linear probing; removal closes the gap, so that nothing builds up.
 */
export class IdTable<T> {
  #ids: Int32Array = new Int32Array(16);
  #values: (T | undefined)[] = new Array(16).fill(undefined);
  #mask = 15;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const ids = this.#ids;
    const mask = this.#mask;
    for (let at = slot(id) & mask; ; at = (at + 1) & mask) {
      const found = ids[at];
      if (found === id) return this.#values[at];
      if (found === 0) return undefined;
    }
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** Adds or replaces. */
  set(id: number, value: T): void {
    if (this.#size * 2 >= this.#mask) this.#resize((this.#mask + 1) * 2);
    const ids = this.#ids;
    const mask = this.#mask;
    let at = slot(id) & mask;
    while (ids[at] !== 0 && ids[at] !== id) at = (at + 1) & mask;
    if (ids[at] === 0) this.#size += 1;
    ids[at] = id;
    this.#values[at] = value;
  }

  delete(id: number): boolean {
    const ids = this.#ids;
    const values = this.#values;
    const mask = this.#mask;
    let gap = slot(id) & mask;
    while (ids[gap] !== id) {
      if (ids[gap] === 0) return false;
      gap = (gap + 1) & mask;
    }
    // Whatever stands behind the gap, and could have stood in it or before, moves up.
    for (let at = (gap + 1) & mask; ids[at] !== 0; at = (at + 1) & mask) {
      const wanted = slot(ids[at] as number) & mask;
      if (((at - wanted) & mask) < ((at - gap) & mask)) continue;
      ids[gap] = ids[at] as number;
      values[gap] = values[at];
      gap = at;
    }
    ids[gap] = 0;
    values[gap] = undefined;
    this.#size -= 1;
    return true;
  }

  /** A copy, in no particular order. */
  values(): T[] {
    const found: T[] = [];
    if (this.#size === 0) return found;
    for (const value of this.#values) if (value !== undefined) found.push(value);
    return found;
  }

  #resize(capacity: number): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = new Int32Array(capacity);
    this.#values = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#size = 0;
    for (let at = 0; at < ids.length; at += 1) {
      if (ids[at] !== 0) this.set(ids[at] as number, values[at] as T);
    }
  }
}

/** Ids of one side of a connection are all odd or all even. */
function slot(id: number): number {
  return id >>> 1;
}
