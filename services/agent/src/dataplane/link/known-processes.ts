import type { Directory, DirectoryProcess } from "@cutline/proto/control";
import { parseAddress } from "./address.ts";

/** The processes of the mesh as the coordinator lists them, and which of them serves which authority. */
export class KnownProcesses {
  #processes = new Map<string, DirectoryProcess>();
  #byAuthority = new Map<string, { readonly processIds: string[]; turn: number }>();
  #phase: "unlisted" | "listed" = "unlisted";
  #version = 0;
  /** Of the processes, those that the last list left out. */
  #unlisted = new Set<string>();

  /**
   * Takes a new list. A process that it leaves out and that `isAlive` stays: one that answers on its link is there,
   * whoever does not list it (a coordinator that has just been started, for one). It may be about to leave, so it gets
   * calls only for what nobody else serves. `stale`: a later list has been taken; versions grow over take-overs, so this
   * one comes from a coordinator that does not know yet that it has been passed over.
   */
  replace({ version, processes }: Directory, isAlive: (processId: string) => boolean): "replaced" | "stale" {
    if (version < this.#version) return "stale";
    this.#version = version;
    this.#phase = "listed";
    const listed = new Map(processes.map((process) => [process.processId, process]));
    const unlisted = [...this.#processes.values()].filter(
      ({ processId }) => !listed.has(processId) && isAlive(processId),
    );
    this.#unlisted = new Set(unlisted.map(({ processId }) => processId));
    this.#byAuthority = new Map();
    this.#serve(processes, () => true);
    const served = new Set(this.#byAuthority.keys());
    this.#serve(unlisted, (authority) => !served.has(authority));
    this.#processes = new Map([...unlisted.map((process) => [process.processId, process] as const), ...listed]);
    return "replaced";
  }

  /** An unlisted process is not heard of any more. `kept`: it is listed, or was not known. */
  forgetUnlisted(processId: string): "forgotten" | "kept" {
    if (!this.#unlisted.delete(processId)) return "kept";
    this.#processes.delete(processId);
    for (const [authority, { processIds }] of this.#byAuthority) {
      if (!processIds.includes(processId)) continue;
      const others = processIds.filter((other) => other !== processId);
      if (others.length === 0) this.#byAuthority.delete(authority);
      else this.#byAuthority.set(authority, { processIds: others, turn: 0 });
    }
    return "forgotten";
  }

  get(processId: string): DirectoryProcess | undefined {
    return this.#processes.get(processId);
  }

  /** True only when a list is there and does not have the process. */
  isAbsent(processId: string): boolean {
    return this.#phase === "listed" && !this.#processes.has(processId);
  }

  /** Where other agents reach the process's agent. */
  addressOf(processId: string): { host: string; port: number } | undefined {
    return parseAddress(this.#processes.get(processId)?.linkAddress ?? "");
  }

  /** The process to send the next call for this authority to, in turn. `undefined`: nobody in the mesh serves it. */
  serving(authority: string): string | undefined {
    const serving = this.#byAuthority.get(authority);
    if (serving === undefined) return undefined;
    serving.turn = (serving.turn + 1) % serving.processIds.length;
    return serving.processIds[serving.turn];
  }

  #serve(processes: readonly DirectoryProcess[], which: (authority: string) => boolean): void {
    for (const { processId, authorities } of processes) {
      for (const authority of authorities.filter(which)) {
        const serving = this.#byAuthority.get(authority);
        if (serving === undefined) this.#byAuthority.set(authority, { processIds: [processId], turn: 0 });
        else serving.processIds.push(processId);
      }
    }
  }
}
