import type { Readable, Writable } from "node:stream";

/** One of the two outputs, and whether a person looks at it. */
export interface Terminal {
  readonly stream: Writable;
  readonly isTTY: boolean;
  /** Width in character cells; only meaningful on a TTY. */
  readonly columns: number;
}

/** Everything the program takes from the world, so that tests can run it inside themselves. */
export interface Io {
  readonly stdin: { readonly stream: Readable; readonly isTTY: boolean };
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970. */
  now(): number;
  readonly fetch: typeof globalThis.fetch;
  /** Resolves after `ms`, or as soon as the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** A new unguessable name, for idempotency keys. */
  newKey(): string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export function writeText(terminal: Terminal, text: string): void {
  terminal.stream.write(text);
}
