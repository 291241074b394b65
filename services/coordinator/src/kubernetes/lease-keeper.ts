import type { Logger } from "@cutline/runtime";
import type { KubeClient } from "./api/client.ts";
import { isKubeError } from "./api/errors.ts";
import { createLeaseSeat, decideLease, type LeaseRecord, type LeaseSeat, mayWrite, noteHeld } from "./lease.ts";

export interface LeaseKeeperOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique among all programs that run, a restarted one included. */
  readonly holder: string;
  readonly leaseMs: number;
  /** Between two looks at the term. */
  readonly termMs: number;
  /** The term in which this replica leads in the store. `undefined`: it does not. */
  readonly term: () => number | undefined;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly onGained: (term: number) => void;
  readonly onLost: () => void;
}

interface LeaseObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

const termAnnotation = "cutline.dev/term";
/** Renewals in one duration. */
const renewalsPerLease = 3;

/** Performs what the decisions about the Lease ask for: one replica at a time works on the cluster's objects. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #seat: LeaseSeat;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #nextTurnAtMs = 0;
  /** The term of the last turn: a new one makes a turn due at once. */
  #triedTerm: number | undefined;
  #stopping = false;
  /** The term in which the controller works; told by `onGained` and `onLost`. */
  #working: number | undefined;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#seat = createLeaseSeat(options.holder, options.leaseMs);
  }

  start(): void {
    this.#tick();
  }

  /** Releases the Lease when it is held. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    await this.#turn;
    if (this.#seat.held !== undefined) await this.#take(undefined);
    this.#tell();
  }

  /** The term in which this replica may write to the cluster, now. */
  writingTerm(): number | undefined {
    const term = this.#stopping ? undefined : this.#options.term();
    return mayWrite(this.#seat, term, this.#options.nowMs()) ? term : undefined;
  }

  #tick(): void {
    const { term, nowMs, leaseMs, termMs } = this.#options;
    const current = term();
    if (nowMs() >= this.#nextTurnAtMs || current !== this.#triedTerm) {
      this.#nextTurnAtMs = nowMs() + leaseMs / renewalsPerLease;
      this.#triedTerm = current;
      this.#turn = this.#take(current);
    }
    this.#turn = this.#turn.then(() => this.#tell());
    void this.#turn.then(() => {
      if (!this.#stopping) this.#timer = setTimeout(() => this.#tick(), termMs);
    });
  }

  #tell(): void {
    const { onGained, onLost, logger } = this.#options;
    const term = this.writingTerm();
    if (term === this.#working) return;
    if (this.#working !== undefined) {
      logger.warn({ term: this.#working }, "not working on the cluster's objects any more");
      onLost();
    }
    this.#working = term;
    if (term === undefined) return;
    logger.info({ term }, "working on the cluster's objects");
    onGained(term);
  }

  async #take(term: number | undefined): Promise<void> {
    const { nowMs, logger } = this.#options;
    try {
      const lease = await this.#read();
      const askedAtMs = nowMs();
      const step = decideLease(this.#seat, lease && recordOf(lease), term, askedAtMs);
      if (step.do === "stand") {
        logger.debug({ reason: step.reason }, "the Lease is not taken");
        return;
      }
      await this.#write(lease, step.do === "release" ? undefined : step.term, askedAtMs);
      if (step.do !== "release") noteHeld(this.#seat, step.term, askedAtMs);
    } catch (error) {
      // Another one was quicker, or the API server is away: what is held runs out by itself.
      const conflict = isKubeError(error, "KubeConflict");
      if (conflict) this.#nextTurnAtMs = 0;
      logger[conflict ? "debug" : "warn"]({ term, error }, "Lease not written");
    }
  }

  get #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  async #read(): Promise<LeaseObject | undefined> {
    const { client, name } = this.#options;
    try {
      return await client.send<LeaseObject>({ method: "GET", path: `${this.#path}/${name}` });
    } catch (error) {
      if (isKubeError(error, "KubeNotFound")) return undefined;
      throw error;
    }
  }

  /** Based on the version that was read: a write by another replica in between is a conflict. */
  async #write(lease: LeaseObject | undefined, term: number | undefined, nowMs: number): Promise<void> {
    const { client, namespace, name, holder, leaseMs } = this.#options;
    const time = microTime(nowMs);
    const stays = term !== undefined && lease?.spec?.holderIdentity === holder;
    const transitions = lease?.spec?.leaseTransitions ?? 0;
    const annotations = {
      ...lease?.metadata.annotations,
      ...(term !== undefined && { [termAnnotation]: String(term) }),
    };
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...lease?.metadata, name, namespace, annotations },
      spec: {
        holderIdentity: term === undefined ? "" : holder,
        leaseDurationSeconds: Math.max(1, Math.ceil(leaseMs / 1_000)),
        acquireTime: stays ? (lease?.spec?.acquireTime ?? time) : time,
        renewTime: time,
        leaseTransitions: lease === undefined || stays || term === undefined ? transitions : transitions + 1,
      },
    };
    if (lease === undefined) await client.send({ method: "POST", path: this.#path, body });
    else await client.send({ method: "PUT", path: `${this.#path}/${name}`, body });
  }
}

function recordOf({ metadata, spec }: LeaseObject): LeaseRecord {
  const term = Number(metadata.annotations?.[termAnnotation]);
  return {
    holder: spec?.holderIdentity ?? "",
    term: Number.isSafeInteger(term) ? term : 0,
    version: metadata.resourceVersion ?? "",
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1_000,
  };
}

/** The API reads times of Leases with exactly six digits of a second. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
