import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { setTimeout as sleepFor } from "node:timers/promises";
import { runCli } from "./app.ts";
import { systemCodeOf } from "./errors.ts";
import type { Io, Terminal } from "./io.ts";

/** For an output that is a TTY but does not know its width. */
const columnsDefault = 80;

const interruption = new AbortController();
// The first Ctrl-C ends what can be ended in good order; the second one is the system's own.
process.once("SIGINT", () => interruption.abort());
process.once("SIGTERM", () => interruption.abort());

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => {
    // `cutline ... | head` closes the pipe when it has seen enough, which is no failure.
    if (systemCodeOf(error) !== "EPIPE") throw error;
  });
}

// kubectl finds its plugins by their names, and so does this program find out that it is one.
const isPlugin = basename(process.argv[1] ?? "").startsWith("kubectl-");

const io: Io = {
  stdin: { stream: process.stdin, isTTY: process.stdin.isTTY === true },
  stdout: terminal(process.stdout),
  stderr: terminal(process.stderr),
  env: process.env,
  now: Date.now,
  fetch: globalThis.fetch,
  sleep: async (ms, signal) => {
    try {
      await sleepFor(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
  newKey: randomUUID,
  signal: interruption.signal,
};

process.exitCode = await runCli(process.argv.slice(2), io, isPlugin ? "plugin" : "program");

// A question that nobody answers must not keep the program alive.
process.stdin.unref?.();

function terminal(stream: NodeJS.WriteStream): Terminal {
  return { stream, isTTY: stream.isTTY === true, columns: stream.columns ?? columnsDefault };
}
