import type { Directory, DirectoryProcess } from "@cutline/proto/control";
import { type ClosingLink, type LinkStanding, MeshDirectory } from "@cutline/protocol";
import { parseAddress } from "./address.ts";
import { searchNames } from "./search-names.ts";

type IsAlive = (processId: string) => boolean;

interface Serving {
  readonly processIds: string[];
  turn: number;
}

/** Short names whose full ones are remembered; beyond that they are looked for anew. */
const foundMax = 1_000;

/** The processes of the mesh as the coordinator lists them, and which of them serves which authority. */
export class KnownProcesses {
  readonly #processes = new MeshDirectory<DirectoryProcess>();
  /** The namespace of the process that calls; names of the cluster are relative to it. */
  readonly #namespace: string;
  #clusterDomain: string | undefined;
  #byAuthority = new Map<string, Serving>();
  /** By authority: a process that would serve it, and takes no new calls now. */
  #closed = new Map<string, string>();
  /** Of authorities that callers wrote shorter: which one of the mesh is meant. */
  readonly #found = new Map<string, string | undefined>();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** Takes a new list, as {@link MeshDirectory.replace} does. */
  replace({ version, processes, clusterDomain }: Directory, isAlive: IsAlive): "replaced" | "stale" {
    if (this.#processes.replace(version, processes, isAlive) === "stale") return "stale";
    this.#byAuthority = new Map();
    this.#found.clear();
    this.#clusterDomain = clusterDomain;
    this.#serve(processes, () => true);
    // One that is not listed may be about to leave: it gets calls only for what nobody else serves.
    this.#closed = new Map(
      processes.flatMap(({ processId, closed }) =>
        (closed?.authorities ?? []).map((authority) => [authority, processId] as const),
      ),
    );
    const served = new Set(this.#byAuthority.keys());
    this.#serve(this.#processes.unlisted, (authority) => !served.has(authority));
    return "replaced";
  }

  linksOver<L extends LinkStanding>(links: Iterable<L>, isAlive: IsAlive): readonly ClosingLink<L>[] {
    return this.#processes.linksOver(links, isAlive);
  }

  /** A connection has ended, see {@link MeshDirectory.lostConnection}. Returns the links that are over. */
  lostConnection<L extends LinkStanding>(
    processId: string,
    links: Iterable<L>,
    isAlive: IsAlive,
  ): readonly ClosingLink<L>[] {
    const known = this.#processes.lostConnection(processId, links, isAlive);
    if (known.outcome === "kept") return [];
    this.#found.clear();
    for (const [authority, { processIds }] of this.#byAuthority) {
      if (!processIds.includes(processId)) continue;
      const others = processIds.filter((other) => other !== processId);
      if (others.length === 0) this.#byAuthority.delete(authority);
      else this.#byAuthority.set(authority, { processIds: others, turn: 0 });
    }
    return known.closing;
  }

  get(processId: string): DirectoryProcess | undefined {
    return this.#processes.get(processId);
  }

  membershipOf(processId: string): "absent" | "present" {
    return this.#processes.membershipOf(processId);
  }

  /** Where other agents reach the process's agent. */
  addressOf(processId: string): { host: string; port: number } | undefined {
    return parseAddress(this.#processes.get(processId)?.linkAddress ?? "");
  }

  /** The process to send the next call for this authority to, in turn. `undefined`: nobody in the mesh serves it. */
  serving(authority: string): string | undefined {
    const name = this.#names(authority) ? authority : this.#fullOf(authority);
    const serving = this.#byAuthority.get(name ?? "");
    if (serving === undefined) return undefined;
    serving.turn = (serving.turn + 1) % serving.processIds.length;
    return serving.processIds[serving.turn];
  }

  /** Who would serve it, and takes no new calls now; `undefined`: somebody serves it, or nobody of the mesh would. */
  closedAt(authority: string): string | undefined {
    const name = this.#names(authority) ? authority : this.#fullOf(authority);
    return name === undefined || this.#byAuthority.has(name) ? undefined : this.#closed.get(name);
  }

  #names(authority: string): boolean {
    return this.#byAuthority.has(authority) || this.#closed.has(authority);
  }

  /** Under which authority of the mesh it is meant; `undefined`: under none. */
  #fullOf(authority: string): string | undefined {
    if (this.#clusterDomain === undefined) return undefined;
    if (this.#found.has(authority)) return this.#found.get(authority);
    const names = searchNames(authority, this.#namespace, this.#clusterDomain);
    const full = names.find((name) => this.#names(name));
    if (this.#found.size >= foundMax) this.#found.clear();
    this.#found.set(authority, full);
    return full;
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
