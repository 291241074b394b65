import type { AgentHello, AgentStatus, Directory } from "@cutline/proto/control";

export interface KnownProcess {
  readonly hello: AgentHello;
  readonly attachedAtMs: number;
  /** `undefined`: attached. */
  detachedAtMs: number | undefined;
  status: AgentStatus | undefined;
}

/**
 * Versions grow across take-overs: a term has this many of its own for each millisecond that passes until the next one
 * (`nextTerm` in term.ts). With terms below 2^41 they are safe integers.
 */
const versionsPerTerm = 2 ** 12;

/** The processes that have attached, until their grace period is over. */
export class AgentDirectory {
  readonly #processes = new Map<string, KnownProcess>();
  #changes = 0;

  /** A process id names one process: another incarnation takes the place of the one before. */
  attach(hello: AgentHello, nowMs: number): void {
    const known = this.#processes.get(hello.processId);
    this.#processes.set(hello.processId, {
      hello,
      attachedAtMs: nowMs,
      detachedAtMs: undefined,
      status: known?.hello.incarnation === hello.incarnation ? known.status : undefined,
    });
    this.#changes += 1;
  }

  /** It stays listed: its links live on without the coordinator. */
  detach(processId: string, incarnation: string, nowMs: number): void {
    const known = this.#current(processId, incarnation);
    if (known !== undefined) known.detachedAtMs ??= nowMs;
  }

  remove(processId: string, incarnation: string): void {
    if (this.#current(processId, incarnation) === undefined) return;
    this.#processes.delete(processId);
    this.#changes += 1;
  }

  /** The processes whose grace period has just ended; they are listed no more. */
  expire(nowMs: number, graceMs: number): readonly KnownProcess[] {
    const expired = [...this.#processes.values()].filter(
      ({ detachedAtMs }) => detachedAtMs !== undefined && nowMs >= detachedAtMs + graceMs,
    );
    for (const { hello } of expired) this.remove(hello.processId, hello.incarnation);
    return expired;
  }

  setStatus(processId: string, incarnation: string, status: AgentStatus): void {
    const known = this.#current(processId, incarnation);
    if (known !== undefined) known.status = status;
  }

  /** A new term begins with no processes and no changes. */
  clear(): void {
    this.#processes.clear();
    this.#changes = 0;
  }

  get changes(): number {
    return this.#changes;
  }

  list(): readonly KnownProcess[] {
    return [...this.#processes.values()];
  }

  toMessage(term: number): Directory {
    return {
      version: term * versionsPerTerm + this.#changes,
      processes: this.list().map(({ hello }) => ({
        processId: hello.processId,
        incarnation: hello.incarnation,
        linkAddress: hello.linkAddress,
        authorities: hello.authorities,
      })),
    };
  }

  #current(processId: string, incarnation: string): KnownProcess | undefined {
    const known = this.#processes.get(processId);
    return known?.hello.incarnation === incarnation ? known : undefined;
  }
}
