import { type LogLine, Program, type ProgramSpec } from "./program.ts";

/** A program that can be killed and started again under the same name, with the same ports. */
export class Service {
  readonly spec: ProgramSpec;
  #program: Program;
  #serves: LogLine;

  static async start(spec: ProgramSpec): Promise<Service> {
    const { program, serves } = await Program.start(spec);
    return new Service(spec, program, serves);
  }

  private constructor(spec: ProgramSpec, program: Program, serves: LogLine) {
    this.spec = spec;
    this.#program = program;
    this.#serves = serves;
  }

  get name(): string {
    return this.spec.name;
  }

  get pid(): number {
    return this.#program.pid;
  }

  get standing(): "running" | "ended" {
    return this.#program.standing;
  }

  /** The line that said that it is up, with its fields. */
  get serves(): LogLine {
    return this.#serves;
  }

  tail(): string {
    return this.#program.tail();
  }

  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void> {
    return this.#program.kill();
  }

  /** SIGTERM, then SIGKILL after 15 s; resolves with how it ended: `exit code 0`, `SIGKILL`, ... */
  stop(): Promise<string> {
    return this.#program.stop();
  }

  freeze(): void {
    this.#program.freeze();
  }

  thaw(): void {
    this.#program.thaw();
  }

  /** Starts it anew after it has ended; `environment` is put over what it had, for this run only. */
  async restart(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.standing === "running") await this.kill();
    const merged = { ...this.spec.environment, ...environment };
    const { program, serves } = await Program.start({ ...this.spec, environment: merged });
    this.#program = program;
    this.#serves = serves;
  }
}
