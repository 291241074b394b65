import { inputBytesMax } from "./target.ts";

/** What a worker is at, in memory that its owner shares: it can be read when the worker hangs or is gone. */
export interface Journal {
  /** How many executions have begun, the index of the last, and the length of its input. */
  readonly numbers: Int32Array;
  readonly input: Uint8Array;
}

export interface Work {
  /** Where the target's module is. */
  readonly module: string;
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  readonly journal: Journal;
}

export function createJournal(): Journal {
  return {
    numbers: new Int32Array(new SharedArrayBuffer(12)),
    input: new Uint8Array(new SharedArrayBuffer(inputBytesMax)),
  };
}

/** Before an execution. */
export function write({ numbers, input }: Journal, index: number, bytes: Buffer): void {
  input.set(bytes);
  numbers[1] = index;
  numbers[2] = bytes.length;
  Atomics.add(numbers, 0, 1);
}

export function read({ numbers, input }: Journal): { begun: number; index: number; input: Buffer } {
  const begun = Atomics.load(numbers, 0);
  return { begun, index: numbers[1] ?? 0, input: Buffer.from(input.slice(0, numbers[2] ?? 0)) };
}
