import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ProxyBenchError } from "./errors.ts";

export interface ProgramSpec {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly core: number;
  /** All it gets, besides PATH. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** When it is up: a line of its standard output says so, or a port of 127.0.0.1 takes connections. */
export type Readiness = { readonly line: string } | { readonly port: number };

const startMsMax = 45_000;
const stopGraceMs = 15_000;
const lookEveryMs = 20;
const saidLinesMax = 20;

/** Ends what it starts with this program. It replaces itself by that, as taskset does: the process is the program's own. */
const ending = ["setpriv", "--pdeathsig", "KILL"] as const;

/** A program on one core. It ends with this one, however that ends. */
export class Program {
  readonly name: string;
  /** Where it was started. */
  readonly core: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  readonly #said: string[] = [];
  #standing: "running" | "ended" = "running";

  constructor({ name, command, core, environment = {} }: ProgramSpec, path: string, onLine: (line: string) => void) {
    this.name = name;
    this.core = core;
    const [launcher, ...args] = [...ending, "taskset", "-c", String(core), ...command];
    this.#child = spawn(launcher, args, { env: { PATH: path, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (stdout !== null) createInterface({ input: stdout }).on("line", (line) => this.#see(line, onLine));
    if (stderr !== null) createInterface({ input: stderr }).on("line", (line) => this.#see(line));
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(error.message));
      this.#child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.#ended.then(() => {
      this.#standing = "ended";
    });
  }

  /** Resolves when it is up, with the line that said so, or with an empty one. */
  static async start(
    spec: ProgramSpec,
    path: string,
    readiness: Readiness,
  ): Promise<{ program: Program; line: string }> {
    let found: string | undefined;
    const program = new Program(spec, path, (line) => {
      if ("line" in readiness && line.includes(readiness.line)) found ??= line;
    });
    const deadlineMs = performance.now() + startMsMax;
    while (found === undefined) {
      if (program.#standing === "ended") throw program.failed(`ended before it was up (${await program.#ended})`);
      if (performance.now() > deadlineMs) {
        await program.stop();
        throw program.failed(`was not up after ${startMsMax} ms`);
      }
      if ("port" in readiness && (await takesConnections(readiness.port))) found = "";
      else await sleep(lookEveryMs);
    }
    return { program, line: found };
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when it has ended by itself: `exit code 0`, `SIGKILL`, ... */
  get ended(): Promise<string> {
    return this.#ended;
  }

  /** SIGTERM, and SIGKILL after 15 s. */
  async stop(): Promise<void> {
    const killer = setTimeout(() => this.kill(), stopGraceMs);
    this.#child.kill("SIGTERM");
    await this.#ended;
    clearTimeout(killer);
  }

  /** SIGTERM; `ended` tells when it has. */
  terminate(): void {
    this.#child.kill("SIGTERM");
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  failed(how: string): ProxyBenchError {
    return new ProxyBenchError("ProgramFailed", `${this.name} ${how}:\n${this.#said.join("\n")}`);
  }

  #see(line: string, onLine?: (line: string) => void): void {
    this.#said.push(line.slice(0, 400));
    if (this.#said.length > saidLinesMax) this.#said.shift();
    onLine?.(line);
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
