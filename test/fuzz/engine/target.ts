import type { Random } from "../../../packages/simulator/src/engine/random.ts";

/** Code that takes bytes from others, and what must hold for it whatever they are. */
export interface Target {
  readonly name: string;
  /** Well-formed inputs, from which others are made by mutation. */
  samples(): readonly Buffer[];
  /** A new input that comes near to being right. */
  generate(random: Random): Buffer;
  open(): Session | Promise<Session>;
  /** Executions of the tests. Fewer than the default where one execution is a whole request. */
  readonly testExecutions: number;
}

/** One instance of the code under test; the same for many executions, as in a program that runs. */
export interface Session {
  /** Takes one input. Whatever it throws or rejects with is a finding: what is expected to be refused is caught inside. */
  run(input: Buffer): void | Promise<void>;
  close(): void | Promise<void>;
}

export const defaultTestExecutions = 100_000;

/** No input is longer than this, in bytes. */
export const inputBytesMax = 64 * 1024;
