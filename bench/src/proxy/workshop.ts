import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Placement, pin } from "./cores.ts";
import { Program, type ProgramSpec, type Readiness } from "./program.ts";

/** What starts programs needs to know of the program that asks for them. */
export interface Surroundings {
  /** Of Node.js. */
  readonly executable: string;
  readonly path: string;
  readonly placement: Placement;
}

/** A temporary folder, and all programs that were started for one run. */
export class Workshop implements Surroundings {
  readonly executable: string;
  readonly path: string;
  readonly placement: Placement;
  readonly folder: string;
  readonly #programs: Program[] = [];

  static async open(surroundings: Surroundings): Promise<Workshop> {
    return new Workshop(surroundings, await mkdtemp(join(tmpdir(), "cutline-bench-proxy-")));
  }

  private constructor({ executable, path, placement }: Surroundings, folder: string) {
    this.executable = executable;
    this.path = path;
    this.placement = placement;
    this.folder = folder;
  }

  async start(spec: ProgramSpec, readiness: Readiness): Promise<{ program: Program; line: string }> {
    const started = await Program.start(spec, this.path, readiness);
    this.#programs.push(started.program);
    return started;
  }

  /** `pinned`: all programs where they were started. `free`: all of them on all cores. */
  async place(how: "pinned" | "free"): Promise<void> {
    for (const { pid, core } of this.#programs) await pin(pid, ...(how === "free" ? this.placement.every : [core]));
  }

  /** A folder of its own in the temporary one. */
  async subfolder(name: string): Promise<string> {
    const folder = join(this.folder, name);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Stops everything, the last one first, and removes the folder. */
  async close(): Promise<void> {
    for (const program of this.#programs.splice(0).reverse()) await program.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
