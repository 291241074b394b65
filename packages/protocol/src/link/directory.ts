import type { ClosingLink, LinkParty, LinkStanding } from "./admission.ts";

/** Whether a process has been heard of lately, on any link. */
type IsAlive = (processId: string) => boolean;

/** The processes of the mesh as the coordinators list them, and what their lists mean for links. */
export class MeshDirectory<P extends LinkParty> {
  #processes = new Map<string, P>();
  #phase: "unlisted" | "listed" = "unlisted";
  #version = 0;
  /** Of the processes, those that the last list left out. */
  #unlisted = new Set<string>();

  /**
   * Takes a new list. A process that it leaves out and that `isAlive` stays: one that answers on its link is there,
   * whoever does not list it (a coordinator that has just been started, for one). `stale`: a later list has been taken;
   * versions grow over take-overs, so this one comes from a coordinator that does not know yet that it has been passed
   * over.
   */
  replace(version: number, listed: readonly P[], isAlive: IsAlive): "replaced" | "stale" {
    if (version < this.#version) return "stale";
    this.#version = version;
    this.#phase = "listed";
    const processes = new Map<string, P>();
    const names = new Set(listed.map(({ processId }) => processId));
    for (const [processId, process] of this.#processes) {
      if (!names.has(processId) && isAlive(processId)) processes.set(processId, process);
    }
    this.#unlisted = new Set(processes.keys());
    for (const process of listed) processes.set(process.processId, process);
    this.#processes = processes;
    return "replaced";
  }

  /** The links that are over by what is known now: to processes that have gone or were restarted. */
  linksOver<L extends LinkStanding>(links: Iterable<L>, isAlive: IsAlive): ClosingLink<L>[] {
    const closing: ClosingLink<L>[] = [];
    for (const link of links) {
      const { processId, incarnation } = link.peer;
      const process = this.#processes.get(processId);
      if (process === undefined) {
        if (!isAlive(processId)) closing.push({ link, reason: `process ${processId} has left` });
      } else if (process.incarnation !== incarnation) {
        closing.push({ link, reason: `process ${processId} was restarted` });
      }
    }
    return closing;
  }

  /**
   * A connection with the process has ended. One that nobody lists was there for as long as it answered: when it does
   * not any more it is forgotten, and its links are over.
   */
  lostConnection<L extends LinkStanding>(
    processId: string,
    links: Iterable<L>,
    isAlive: IsAlive,
  ): { readonly outcome: "kept" } | { readonly outcome: "forgotten"; readonly closing: readonly ClosingLink<L>[] } {
    if (!this.#unlisted.has(processId) || isAlive(processId)) return { outcome: "kept" };
    this.#unlisted.delete(processId);
    this.#processes.delete(processId);
    const own = [...links].filter(({ peer }) => peer.processId === processId);
    return { outcome: "forgotten", closing: own.map((link) => ({ link, reason: `process ${processId} has left` })) };
  }

  /** Known, though the last list left them out. */
  get unlisted(): readonly P[] {
    return [...this.#unlisted].flatMap((processId) => this.#processes.get(processId) ?? []);
  }

  get(processId: string): P | undefined {
    return this.#processes.get(processId);
  }

  /** `absent` only when a list is there and does not have the process. */
  membershipOf(processId: string): "absent" | "present" {
    return this.#phase === "listed" && !this.#processes.has(processId) ? "absent" : "present";
  }
}
