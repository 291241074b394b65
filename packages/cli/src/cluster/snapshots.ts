import { CliError, exitCodes } from "../errors.ts";
import type { Io } from "../io.ts";
import { asRecord, stringOf } from "../json.ts";
import { ApiError, type KubeApi } from "./client.ts";
import { apiVersion, readSnapshotObject, type SnapshotObject, snapshotKind, snapshotsPath } from "./objects.ts";

/** An object, and the JSON it was read from. */
export interface Read {
  readonly value: SnapshotObject;
  readonly raw: unknown;
}

export interface NewSnapshot {
  /** `undefined`: the API server makes one up. */
  readonly name: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: object;
}

/** The GlobalSnapshots of one namespace. */
export class SnapshotObjects {
  readonly namespace: string;
  readonly #api: KubeApi;

  constructor(api: KubeApi, namespace: string) {
    this.#api = api;
    this.namespace = namespace;
  }

  async create({ name, labels, spec }: NewSnapshot): Promise<Read> {
    const body = {
      apiVersion,
      kind: snapshotKind,
      metadata: { ...(name === undefined ? { generateName: "snapshot-" } : { name }), labels },
      spec,
    };
    const failure = `cannot create a GlobalSnapshot in ${this.namespace}`;
    return readOf(await this.#api.send({ method: "POST", path: snapshotsPath(this.namespace), body, failure }));
  }

  async get(name: string): Promise<Read> {
    const failure = `cannot get the GlobalSnapshot ${this.namespace}/${name}`;
    return readOf(await this.#api.send({ method: "GET", path: snapshotsPath(this.namespace, name), failure }));
  }

  /** The oldest first, as kubectl lists by name; `everywhere`: of all namespaces. */
  async list(where: "here" | "everywhere", labels: Readonly<Record<string, string>>): Promise<Read[]> {
    const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const items = await this.#api.list({
      path: snapshotsPath(where === "here" ? this.namespace : undefined),
      ...(selector.length > 0 && { query: { labelSelector: selector.join(",") } }),
      failure: "cannot list the GlobalSnapshots",
    });
    return items.map(readOf);
  }

  async abort(name: string): Promise<void> {
    const failure = `cannot abort the GlobalSnapshot ${this.namespace}/${name}`;
    const path = snapshotsPath(this.namespace, name);
    await this.#api.send({ method: "PATCH", path, body: { spec: { abort: true } }, failure });
  }

  async remove(name: string): Promise<void> {
    const failure = `cannot delete the GlobalSnapshot ${this.namespace}/${name}`;
    await this.#api.send({ method: "DELETE", path: snapshotsPath(this.namespace, name), failure });
  }

  /** The Events of one object, the oldest first; as many as the API server still has. */
  async eventsOf({ name }: SnapshotObject): Promise<{ time: string; type: string; reason: string; message: string }[]> {
    const items = await this.#api.list({
      path: `/api/v1/namespaces/${this.namespace}/events`,
      query: { fieldSelector: `involvedObject.kind=${snapshotKind},involvedObject.name=${name}` },
      failure: `cannot list the events of ${this.namespace}/${name}`,
    });
    const events = items.map((one) => {
      const { firstTimestamp, lastTimestamp, eventTime, type, reason, message } = asRecord(one) ?? {};
      const time = stringOf(lastTimestamp) || stringOf(eventTime) || stringOf(firstTimestamp);
      return { time, type: stringOf(type), reason: stringOf(reason), message: stringOf(message) };
    });
    return events.sort((a, b) => (a.time < b.time ? -1 : 1));
  }

  /** The coordinator's id of the snapshot of this name; a name of no object is taken for an id. */
  async idOf(name: string): Promise<string> {
    let object: Read;
    try {
      object = await this.get(name);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return name;
      throw error;
    }
    const { snapshotId, message } = object.value.status;
    if (snapshotId !== "") return snapshotId;
    const why = message === "" ? "the coordinator has not started it" : message;
    throw new CliError("SnapshotNotStarted", exitCodes.notFound, `${this.namespace}/${name} has no state: ${why}`);
  }
}

function readOf(raw: unknown): Read {
  return { raw, value: readSnapshotObject(raw) };
}

/** Its end, as the controller has written it. */
export function endOf({ phase }: SnapshotObject): "running" | "ended" {
  return phase === "Completed" || phase === "Failed" || phase === "Aborted" ? "ended" : "running";
}

export interface ObjectWaitLimits {
  readonly pollMsMin: number;
  readonly pollMsMax: number;
  /** How long the API server may be away. */
  readonly awayMsMax: number;
  /** Without a word of a controller for so long, its absence is told, once. */
  readonly silentMs: number;
  /** How long after its own deadlines we still wait. */
  readonly graceMs: number;
}

const waitLimitsDefault: ObjectWaitLimits = {
  pollMsMin: 200,
  pollMsMax: 1_000,
  awayMsMax: 60_000,
  silentMs: 10_000,
  graceMs: 30_000,
};

export interface Watcher {
  show(object: SnapshotObject, waitedMs: number): void;
  note(text: string): void;
}

/** Looks until it has ended. Rejects when interrupted, when it is gone, and when its own deadlines have long passed. */
export async function waitForObjectEnd(
  io: Io,
  objects: SnapshotObjects,
  begun: Read,
  watcher: Watcher,
  limits: ObjectWaitLimits = waitLimitsDefault,
): Promise<Read> {
  const { name, namespace } = begun.value;
  const { timeoutSeconds, startingDeadlineSeconds } = begun.value.spec;
  const atMostMs = (timeoutSeconds + startingDeadlineSeconds) * 1_000 + limits.graceMs;
  const begunMs = io.now();
  let seenMs = begunMs;
  let pollMs = limits.pollMsMin;
  let told = false;
  let last = begun;
  while (endOf(last.value) === "running") {
    const waitedMs = io.now() - begunMs;
    watcher.show(last.value, waitedMs);
    if (last.value.phase === "" && waitedMs > limits.silentMs && !told) {
      watcher.note(
        `no controller has looked at ${name} for ${limits.silentMs / 1_000} s; "kubectl cutline check" tells more`,
      );
      told = true;
    }
    if (waitedMs > atMostMs) {
      const message = `${namespace}/${name} has not ended, long after its own deadlines: see "kubectl cutline check"`;
      throw new CliError("SnapshotOverdue", exitCodes.unavailable, message);
    }
    await io.sleep(pollMs, io.signal);
    if (io.signal.aborted) {
      const message = `interrupted; ${namespace}/${name} goes on. Look at it with "kubectl cutline snapshot describe ${name}", stop it with "kubectl cutline snapshot abort ${name}"`;
      throw new CliError("Interrupted", exitCodes.interrupted, message);
    }
    pollMs = Math.min(limits.pollMsMax, pollMs * 1.5);
    try {
      last = await objects.get(name);
      seenMs = io.now();
    } catch (error) {
      const isAway = error instanceof CliError && error.exitCode === exitCodes.unavailable;
      if (!isAway || io.now() - seenMs > limits.awayMsMax) throw error;
    }
  }
  return last;
}
