import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshot } from "@cutline/proto/snapshot";
import type { System } from "../system/system.ts";

/** Of snapshots; what follows is counted only. */
const keptMax = 20;

/** Keeps what is needed to find the cause: the state and the manifest of a snapshot, beside the programs' logs. */
export class Evidence {
  readonly #system: System;
  #kept = 0;

  constructor(system: System) {
    this.#system = system;
  }

  get isEmpty(): boolean {
    return this.#kept === 0;
  }

  get folder(): string {
    return join(this.#system.folder, "evidence");
  }

  async keep(snapshot: Snapshot, state: Buffer | undefined, problems: readonly string[]): Promise<void> {
    this.#kept += 1;
    if (this.#kept > keptMax) return;
    const folder = join(this.folder, snapshot.id);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "snapshot.json"), JSON.stringify(snapshot, undefined, 2));
    await writeFile(join(folder, "problems.txt"), `${problems.join("\n")}\n`);
    if (state !== undefined) await writeFile(join(folder, "state.json"), state);
  }
}
