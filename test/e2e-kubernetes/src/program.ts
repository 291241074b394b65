import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { buffer, text } from "node:stream/consumers";

const outputCharsMax = 4_000;

export interface RunOptions {
  /** Given on standard input. */
  readonly input?: string;
  /** Default: 60 s. */
  readonly timeoutMs?: number;
  /** Where it runs. Default: where this program does. */
  readonly folder?: string;
}

/** A program ended with something else than 0; the message has what it said. */
export class ProgramFailed extends Error {
  readonly exitCode: number | null;
  constructor(command: string, exitCode: number | null, said: string) {
    super(`${command} ended with ${exitCode ?? "a signal, at its time-out"}: ${said.slice(-outputCharsMax)}`);
    this.name = "ProgramFailed";
    this.exitCode = exitCode;
  }
}

/** Runs a program to its end and resolves with what it wrote; rejects with {@link ProgramFailed}. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const { input, timeoutMs = 60_000, folder } = options;
  const child = spawn(program, args, { timeout: timeoutMs, cwd: folder, stdio: "pipe" });
  const [stdout, stderr] = [buffer(child.stdout), text(child.stderr)];
  // A program that reads no input may be gone before it is written.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input ?? "");
  const [exitCode] = (await once(child, "close")) as [number | null];
  if (exitCode !== 0) {
    throw new ProgramFailed([program, ...args].join(" "), exitCode, `${await stderr}${await stdout}`);
  }
  return stdout;
}

/** Follows what a program prints, line by line, until it ends or is ended; what it ends with does not matter. */
export async function follow(
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  const end = () => child.kill();
  signal.addEventListener("abort", end);
  createInterface({ input: child.stdout }).on("line", onLine);
  await once(child, "close");
  signal.removeEventListener("abort", end);
}
