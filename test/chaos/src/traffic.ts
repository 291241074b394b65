import type { ApplicationStatus } from "./application/main.ts";
import type { ChaosMesh, Place } from "./mesh.ts";

/** A call that was refused just before its callee was there again may be told late. */
const settledMs = 1_000;

/** One restart, and what it may explain. */
interface Restart {
  readonly name: string;
  /** Of the run that was killed. */
  readonly run: number;
  readonly killedAtMs: number;
  agentServesAtMs: number;
  /** From here on no call may fail any more. */
  settledAtMs: number;
}

/** Calls with a restarted process must have ended this long after its new agent serves. */
const endedWithinMsMax = 3_000;

/** Counts of all runs of all applications, and the calls that failed, each with a restart that explains it or as a problem. */
export class Traffic {
  readonly #mesh: ChaosMesh;
  readonly #last = new Map<string, ApplicationStatus>();
  readonly #restarts: Restart[] = [];

  constructor(mesh: ChaosMesh) {
    this.#mesh = mesh;
  }

  get restarts(): number {
    return this.#restarts.length;
  }

  async look(): Promise<void> {
    await Promise.all(this.#mesh.places.map((place) => this.#lookAt(place)));
  }

  async #lookAt(place: Place): Promise<void> {
    const { run } = place;
    try {
      this.#last.set(`${place.name}.${run}`, await this.#mesh.status(place));
    } catch (error) {
      // It is being restarted; one that is gone for good is noticed by its silence at the end.
      if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError)) throw error;
    }
  }

  get messages(): number {
    return this.#sum(({ messagesReceived }) => messagesReceived);
  }

  get openCalls(): number {
    return this.#mesh.places.reduce(
      (sum, { name, run }) => sum + (this.#last.get(`${name}.${run}`)?.callsOpen ?? 1),
      0,
    );
  }

  callsOk(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { callsOk } of this.#last.values()) {
      for (const [kind, count] of Object.entries(callsOk)) counts.set(kind, (counts.get(kind) ?? 0) + count);
    }
    return counts;
  }

  finding(name: keyof ApplicationStatus["findings"]): number {
    return this.#sum(({ findings }) => findings[name]);
  }

  async restart(place: Place): Promise<void> {
    const restart = { name: place.name, run: place.run, killedAtMs: Date.now(), agentServesAtMs: 0, settledAtMs: 0 };
    await this.#lookAt(place);
    this.#restarts.push(restart);
    restart.agentServesAtMs = (await this.#mesh.restart(place)).agentServesAtMs;
    restart.settledAtMs = Date.now() + settledMs;
  }

  /** In flight when their callee was killed, and ended UNAVAILABLE: `lastAfterMs` after the new agent served at most. */
  judge(): {
    readonly ended: number;
    readonly refused: number;
    readonly cancelled: number;
    readonly lastAfterMs: number;
    readonly problems: string[];
  } {
    const problems: string[] = [];
    let [ended, refused, cancelled, lastAfterMs] = [0, 0, 0, 0];
    for (const [caller, { failures, cancelled: ofCallers }] of this.#last) {
      for (const { callee, status, details, begunAtMs, atMs } of failures) {
        const cause = this.#restarts.find(
          ({ name, killedAtMs, settledAtMs }) => name === callee && atMs >= killedAtMs && atMs <= settledAtMs,
        );
        if (cause === undefined || status !== "UNAVAILABLE") {
          problems.push(`a call of ${caller} to ${callee} ended with ${status}: ${details}`);
          continue;
        }
        // Calls that are made while it is away are refused, as long as it is.
        if (begunAtMs > cause.killedAtMs) {
          refused += 1;
          continue;
        }
        ended += 1;
        lastAfterMs = Math.max(lastAfterMs, atMs - cause.agentServesAtMs);
      }
      for (const [by, count] of Object.entries(ofCallers)) {
        cancelled += count;
        const isKilled = this.#restarts.some(({ name, run }) => `${name}.${run}` === by);
        if (!isKilled) problems.push(`${caller} was told that ${count} calls of ${by}, which lives, were cancelled`);
      }
    }
    if (lastAfterMs > endedWithinMsMax) {
      problems.push(`a call with a process that was restarted ended only ${lastAfterMs} ms after its new agent served`);
    }
    return { ended, refused, cancelled, lastAfterMs, problems };
  }

  #sum(of: (status: ApplicationStatus) => number): number {
    return [...this.#last.values()].reduce((sum, status) => sum + of(status), 0);
  }
}
