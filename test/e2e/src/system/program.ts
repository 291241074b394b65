import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { SystemError } from "./errors.ts";
import { ownProgram, reapAtExit } from "./reaper.ts";

const endWithParent = fileURLToPath(new URL("./end-with-parent.ts", import.meta.url));
const repository = fileURLToPath(new URL("../../../../", import.meta.url));
/** Compiled once for all programs and all runs: half of what starting a program costs. */
const compileCache = `${repository}node_modules/.cache/cutline-compile`;

/** The last lines, for messages. */
const tailLinesMax = 10;
const lineCharsMax = 400;
/** Of one run, in its file; what comes later is dropped. */
const logBytesMax = 16 * 1024 * 1024;
/** A program on a slow and busy machine. */
const startTimeoutMs = 45_000;
const stopGraceMs = 15_000;

export type Environment = Readonly<Record<string, string>>;

/** One line of JSON that a program logged. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string };

export interface ProgramSpec {
  /** For messages and for the file of its output. */
  readonly name: string;
  /** `node main` when it ends in `.ts`, below the repository; otherwise looked up on the PATH. */
  readonly program: string;
  readonly arguments?: readonly string[];
  /** All it gets, besides PATH. */
  readonly environment: Environment;
  /** Gets what it writes; appended to. */
  readonly logFile: string;
  /** The message of the line that says that it is up. */
  readonly servesMessage: string;
}

/** One run of a program, as a process of its own. */
export class Program {
  readonly spec: ProgramSpec;
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  readonly #tail: string[] = [];
  readonly #log: WriteStream;
  #logBytes = 0;
  #serves = Promise.withResolvers<LogLine>();
  #standing: "running" | "ended" = "running";

  /** Resolves with the run and the line that says that it is up. */
  static async start(spec: ProgramSpec): Promise<{ program: Program; serves: LogLine }> {
    const program = new Program(spec);
    return { program, serves: await program.#untilServing() };
  }

  private constructor(spec: ProgramSpec) {
    this.spec = spec;
    const { executable, path, nodeOptions } = ownProgram();
    const isNode = spec.program.endsWith(".ts");
    const nodeArguments = ["--conditions=cutline-source", `--import=${endWithParent}`, `${repository}${spec.program}`];
    this.#child = spawn(
      isNode ? executable : spec.program,
      [...(isNode ? nodeArguments : []), ...(spec.arguments ?? [])],
      // Its own group: Ctrl-C on the terminal is for the one that started it, which stops everything in order.
      {
        env: { PATH: path, NODE_COMPILE_CACHE: compileCache, NODE_OPTIONS: nodeOptions, ...spec.environment },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      },
    );
    this.#log = createWriteStream(spec.logFile, { flags: "a" });
    // Its folder may be removed before the last line is written.
    this.#log.on("error", () => undefined);
    this.#ended = this.#watch();
    if (this.#child.pid !== undefined) reapAtExit(this.#child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get standing(): "running" | "ended" {
    return this.#standing;
  }

  /** The last lines of its output. */
  tail(): string {
    return this.#tail.join("\n");
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** SIGTERM, and SIGKILL after 15 s; resolves with how it ended: `exit code 0`, `SIGKILL`, ... */
  async stop(): Promise<string> {
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), stopGraceMs);
    this.#child.kill("SIGTERM");
    // One that is frozen hears nothing else.
    this.#child.kill("SIGCONT");
    const how = await this.#ended;
    clearTimeout(killer);
    return how;
  }

  /** SIGSTOP: it keeps its connections and does nothing until `thaw`. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  async #watch(): Promise<string> {
    const { stdout, stderr } = this.#child;
    if (stdout !== null) createInterface({ input: this.#kept(stdout) }).on("line", (line) => this.#see(line));
    if (stderr !== null) createInterface({ input: this.#kept(stderr) }).on("line", (line) => this.#keepLine(line));
    const how = await new Promise<string>((resolve) => {
      this.#child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
      this.#child.once("error", (error: NodeJS.ErrnoException) =>
        resolve(error.code === "ENOENT" ? "not installed" : error.message),
      );
    });
    this.#standing = "ended";
    this.#log.end(`--- ${how}\n`);
    return how;
  }

  #kept(output: Readable): Readable {
    return output.on("data", (chunk: Buffer) => {
      if (this.#logBytes > logBytesMax) return;
      this.#logBytes += chunk.length;
      this.#log.write(
        this.#logBytes > logBytesMax ? `--- more than ${logBytesMax} bytes; the rest is dropped\n` : chunk,
      );
    });
  }

  #keepLine(line: string): void {
    const short = line.slice(0, lineCharsMax);
    // What is said over and over would push out what was said before.
    if (this.#tail.at(-1) === short) return;
    this.#tail.push(short);
    if (this.#tail.length > tailLinesMax) this.#tail.shift();
  }

  #see(line: string): void {
    this.#keepLine(line);
    if (!line.includes(this.spec.servesMessage)) return;
    const parsed = parseLine(line);
    if (parsed?.message.includes(this.spec.servesMessage)) this.#serves.resolve(parsed);
  }

  async #untilServing(): Promise<LogLine> {
    const { name } = this.spec;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const message = `${name} did not say "${this.spec.servesMessage}" in ${startTimeoutMs} ms:\n${this.tail()}`;
      late.reject(new SystemError("WaitedInVain", message));
    }, startTimeoutMs);
    const ended = this.#ended.then((how): never => {
      const code = how === "not installed" ? "ProgramMissing" : "ProgramEnded";
      throw new SystemError(code, `${name} ended before it was up (${how}):\n${this.tail()}`);
    });
    try {
      return await Promise.race([this.#serves.promise, late.promise, ended]);
    } catch (error) {
      await this.kill();
      throw error;
    } finally {
      clearTimeout(timer);
      // After the race, the end of the program is no longer an error.
      ended.catch(() => undefined);
    }
  }
}

/** Programs that do not log JSON say it in plain text. */
function parseLine(line: string): LogLine {
  try {
    const parsed = JSON.parse(line) as LogLine;
    return typeof parsed.message === "string" ? parsed : { message: line };
  } catch {
    return { message: line };
  }
}

/** Waits for the end of a child that is not one of the programs above; rejects with its output when it failed. */
export async function runOnce(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { cwd: repository, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-lineCharsMax * tailLinesMax);
    });
  }
  const [code] = await once(child, "close");
  if (code !== 0) throw new SystemError("ProgramEnded", `${program} ${args.join(" ")} ended with ${code}:\n${output}`);
}
