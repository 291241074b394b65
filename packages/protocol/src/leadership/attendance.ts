import type { ProcessId, SnapshotRef } from "../cut/state.ts";
import { isLastPhase } from "../lifecycle/state.ts";
import { type KnownProcess, ProcessDirectory, type ProcessHello } from "./directory.ts";

/** One agent's open stream. */
export interface AgentPresence extends ProcessHello {
  lastHeardMs: number;
}

export interface AttendanceLimits {
  /** Between two heartbeats. */
  readonly heartbeatMs: number;
  /** Heartbeats missed until an agent counts as detached. */
  readonly heartbeatsMissedMax: number;
  /** How long a detached process stays known. */
  readonly graceMs: number;
}

/** Which agents are attached to this replica, and which processes it knows. One stream a process. */
export class Attendance<Stream extends AgentPresence, Hello extends ProcessHello, Status> {
  readonly directory = new ProcessDirectory<Hello, Status>();
  readonly #streams = new Map<ProcessId, Stream>();
  readonly #limits: AttendanceLimits;
  #pushedChanges = 0;
  #settledAtMs = 0;
  #beatAtMs: number;

  constructor(limits: AttendanceLimits, nowMs: number) {
    this.#limits = limits;
    this.#beatAtMs = nowMs;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Those that are welcomed and open; a copy. */
  streams(): Stream[] {
    return [...this.#streams.values()];
  }

  find(processId: ProcessId): Stream | undefined {
    return this.#streams.get(processId);
  }

  /** Called when this replica begins to lead. The agents of an earlier leader are listed when they are there again. */
  lead(settledAtMs: number): void {
    this.directory.clear();
    this.#pushedChanges = 0;
    this.#settledAtMs = settledAtMs;
  }

  /** This replica does not lead, or stops: these are sent away. */
  dismiss(): Stream[] {
    const streams = this.streams();
    this.#streams.clear();
    this.directory.clear();
    return streams;
  }

  /**
   * Its process is known from now on. It is listed by `welcomed` alone: what its coming sets off reaches it by its welcome,
   * which must come first. Answers with the stream whose place it takes, which is to be closed.
   */
  greet(hello: Hello, nowMs: number): Stream | undefined {
    const before = this.#streams.get(hello.processId);
    this.#streams.delete(hello.processId);
    this.directory.attach(hello, nowMs);
    return before;
  }

  welcomed(stream: Stream): void {
    this.#streams.set(stream.processId, stream);
  }

  /** It says that it goes for good. */
  leave(stream: Stream): void {
    if (this.#streams.get(stream.processId) === stream) this.#streams.delete(stream.processId);
    this.directory.remove(stream.processId, stream.incarnation);
  }

  /**
   * The stream broke. `stale`: another has its place, or none of it is open. After `detached`, snapshots are told before
   * `directory.detach`: their grace period begins, and so ends, no later than that of the directory.
   */
  broken(stream: Stream): "detached" | "stale" {
    if (this.#streams.get(stream.processId) !== stream) return "stale";
    this.#streams.delete(stream.processId);
    return "detached";
  }

  /** The streams on which nothing was heard for too long. To be called every `heartbeatMs`. */
  silent(nowMs: number): Stream[] {
    const { heartbeatMs, heartbeatsMissedMax } = this.#limits;
    // While this program stood still it heard nobody: what agents said then is still to be read.
    const stoodStillMs = nowMs - this.#beatAtMs - heartbeatMs;
    this.#beatAtMs = nowMs;
    if (stoodStillMs > heartbeatMs) {
      for (const stream of this.#streams.values()) {
        stream.lastHeardMs = Math.min(nowMs, stream.lastHeardMs + stoodStillMs);
      }
    }
    return this.streams().filter(({ lastHeardMs }) => nowMs - lastHeardMs > heartbeatMs * heartbeatsMissedMax);
  }

  /** The processes whose grace period has just ended. */
  expire(nowMs: number): readonly KnownProcess<Hello, Status>[] {
    return this.directory.expire(nowMs, this.#limits.graceMs);
  }

  /** A directory that names only those who are back already would end the links with all others. */
  isSettled(nowMs: number): boolean {
    return nowMs >= this.#settledAtMs;
  }

  /** `due`: the directory has changed since it was sent to all, and counts as sent now. */
  pushDirectory(nowMs: number): "due" | "notDue" {
    if (!this.isSettled(nowMs) || this.#pushedChanges === this.directory.changes) return "notDue";
    this.#pushedChanges = this.directory.changes;
    return "due";
  }
}

/** Of the attempts that an agent has open when it attaches, those whose end it has to be told. */
export function endedMeanwhile(open: readonly SnapshotRef[], running: readonly SnapshotRef[]): SnapshotRef[] {
  const known = new Set(running.map(({ snapshotId, attempt }) => `${snapshotId}/${attempt}`));
  return open.filter(({ snapshotId, attempt }) => !known.has(`${snapshotId}/${attempt}`));
}

/** How an attempt ended that does not run; `stored` is what the store has of a snapshot that nobody here drives. */
export function endOfAttempt(
  { attempt }: SnapshotRef,
  stored: { readonly phase: string; readonly reason: string; readonly attempt: number } | undefined,
): { readonly phase: string; readonly reason: string } {
  return stored !== undefined && isLastPhase(stored.phase) && stored.attempt === attempt
    ? { phase: stored.phase, reason: stored.reason }
    : { phase: "Failed", reason: "AttemptOver" };
}
