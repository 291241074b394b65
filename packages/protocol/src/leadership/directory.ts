import type { ProcessId } from "../cut/state.ts";

/** Who a process says it is. */
export interface ProcessHello {
  readonly processId: ProcessId;
  readonly incarnation: string;
}

export interface KnownProcess<Hello, Status> {
  readonly hello: Hello;
  readonly attachedAtMs: number;
  /** `undefined`: attached. */
  detachedAtMs: number | undefined;
  status: Status | undefined;
}

/** The processes that have attached, until their grace period is over. */
export class ProcessDirectory<Hello extends ProcessHello, Status> {
  readonly #processes = new Map<ProcessId, KnownProcess<Hello, Status>>();
  #changes = 0;

  /** A process id names one process: another incarnation takes the place of the one before. */
  attach(hello: Hello, nowMs: number): void {
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
  detach(processId: ProcessId, incarnation: string, nowMs: number): void {
    const known = this.#current(processId, incarnation);
    if (known !== undefined) known.detachedAtMs ??= nowMs;
  }

  remove(processId: ProcessId, incarnation: string): void {
    if (this.#current(processId, incarnation) === undefined) return;
    this.#processes.delete(processId);
    this.#changes += 1;
  }

  /** The processes whose grace period has just ended; they are listed no more. */
  expire(nowMs: number, graceMs: number): readonly KnownProcess<Hello, Status>[] {
    const expired = this.list().filter(
      ({ detachedAtMs }) => detachedAtMs !== undefined && nowMs >= detachedAtMs + graceMs,
    );
    for (const { hello } of expired) this.remove(hello.processId, hello.incarnation);
    return expired;
  }

  setStatus(processId: ProcessId, incarnation: string, status: Status): void {
    const known = this.#current(processId, incarnation);
    if (known !== undefined) known.status = status;
  }

  /** What is told of the processes has changed, and not who is listed. */
  noteChange(): void {
    this.#changes += 1;
  }

  /** A new term begins with no processes and no changes. */
  clear(): void {
    this.#processes.clear();
    this.#changes = 0;
  }

  get changes(): number {
    return this.#changes;
  }

  list(): readonly KnownProcess<Hello, Status>[] {
    return [...this.#processes.values()];
  }

  /** The ids of those that are attached. */
  attached(): Set<ProcessId> {
    const attached = this.list().filter(({ detachedAtMs }) => detachedAtMs === undefined);
    return new Set(attached.map(({ hello }) => hello.processId));
  }

  #current(processId: ProcessId, incarnation: string): KnownProcess<Hello, Status> | undefined {
    const known = this.#processes.get(processId);
    return known?.hello.incarnation === incarnation ? known : undefined;
  }
}
