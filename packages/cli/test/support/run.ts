import { Readable, Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { type Mode, runCli } from "../../src/app.ts";
import type { Io } from "../../src/io.ts";

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the program slept, in milliseconds. */
  readonly slept: readonly number[];
}

export interface RunOptions {
  readonly server?: string;
  /** Default: program. */
  readonly mode?: Mode;
  readonly env?: Record<string, string>;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  readonly fetch?: typeof globalThis.fetch;
  /** Runs at every sleep; the clock has gone on by then. */
  readonly onSleep?: (count: number) => void | Promise<void>;
}

/** Half an hour after the fixtures' snapshot was created. */
const nowMs = Date.parse("2026-03-01T12:30:00.000Z");

/** Runs a command line within this process, on a clock of its own: sleeping takes no time but advances it. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const stdout = captured();
  const stderr = captured();
  const slept: number[] = [];
  let clockMs = nowMs;
  const terminal = { isTTY: options.isTTY === true, columns: options.columns ?? 100 };
  const io: Io = {
    stdin: {
      stream: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
      isTTY: options.isTTY === true,
    },
    stdout: { stream: stdout.stream, ...terminal },
    stderr: { stream: stderr.stream, ...terminal },
    env: { ...(options.server !== undefined && { CUTLINE_SERVER: options.server }), ...options.env },
    now: () => clockMs,
    fetch: options.fetch ?? globalThis.fetch,
    sleep: async (ms) => {
      slept.push(ms);
      clockMs += ms;
      await options.onSleep?.(slept.length);
      await setImmediate();
    },
    newKey: () => "key-1",
    signal: options.signal ?? new AbortController().signal,
  };
  const exitCode = await runCli(args, io, options.mode);
  return { exitCode, stdout: stdout.text(), stderr: stderr.text(), slept };
}

function captured() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString("utf8") };
}
