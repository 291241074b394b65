import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@cutline/runtime";
import type { KubeClient, WatchEvent } from "./api/client.ts";
import { errorOfStatus, isKubeError, KubeError } from "./api/errors.ts";
import { collectionPath, type ResourcePath } from "./api/resources.ts";
import { backOff } from "./back-off.ts";
import type { ControllerLimits } from "./limits.ts";
import { type KubeObject, keyOf } from "./resources/objects.ts";

export interface ReflectorOptions<Kind extends KubeObject> {
  readonly client: KubeClient;
  readonly resource: ResourcePath;
  /** `undefined`: all namespaces. */
  readonly namespace: string | undefined;
  readonly limits: Pick<
    ControllerLimits,
    "pageSize" | "objectsMax" | "watchMs" | "watchSilenceMs" | "relistMs" | "alarmMs" | "backOffMsMin" | "backOffMsMax"
  >;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
  /** An object was added, changed, or is gone (`undefined`). The cache has it already. */
  readonly onChange: (key: string, object: Kind | undefined, before: Kind | undefined) => void;
}

interface ListAnswer<Kind> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly Kind[];
}

/**
 * Keeps a copy of all objects of one kind: lists them, watches from there, lists anew after `relistMs` whatever the watch
 * says, and after 410. Nothing that the API server does ends it.
 */
export class Reflector<Kind extends KubeObject> {
  readonly #options: ReflectorOptions<Kind>;
  readonly #logger: Logger;
  readonly #objects = new Map<string, Kind>();
  readonly #listed = Promise.withResolvers<void>();
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #heardAtMs: number;
  #alarmed = false;
  #alarm: NodeJS.Timeout | undefined;

  constructor(options: ReflectorOptions<Kind>) {
    this.#options = options;
    this.#heardAtMs = options.nowMs();
    this.#logger = options.logger.child({ resource: options.resource.plural, namespace: options.namespace ?? "" });
  }

  start(): void {
    const { alarmMs } = this.#options.limits;
    this.#stop = new AbortController();
    this.#running = this.#run(this.#stop.signal);
    this.#alarm = setInterval(() => this.#checkAge(), Math.max(10, alarmMs / 10));
  }

  async stop(): Promise<void> {
    clearInterval(this.#alarm);
    this.#stop.abort();
    await this.#running;
    this.#listed.resolve();
  }

  /** Resolves after the first list, or when it is stopped without one. */
  get listed(): Promise<void> {
    return this.#listed.promise;
  }

  /** Since the API server was last heard of this kind: an object, a bookmark, a list. */
  get ageMs(): number {
    return this.#options.nowMs() - this.#heardAtMs;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): Kind | undefined {
    return this.#objects.get(key);
  }

  all(): Iterable<Kind> {
    return this.#objects.values();
  }

  /** What the API answered to a write: a change like any other, and the watch brings it again with nothing new. */
  learn(written: Kind): void {
    if (this.#objects.get(keyOf(written))?.metadata.uid === written.metadata.uid) this.#keep(written);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { limits, random, nowMs } = this.#options;
    let failures = 0;
    let version: string | undefined;
    let relistAtMs = 0;
    while (!signal.aborted) {
      try {
        if (version === undefined || nowMs() >= relistAtMs) {
          version = await this.#list();
          relistAtMs = nowMs() + limits.relistMs;
        }
        const begunAtMs = nowMs();
        version = await this.#watch(version, relistAtMs, signal);
        if (nowMs() - begunAtMs < limits.backOffMsMin)
          throw new KubeError("KubeUnavailable", "the watch ended at once");
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        // A list is always right; after anything but a broken connection the version is not trusted.
        if (!isKubeError(error, "KubeUnavailable") || failures > 0) version = undefined;
        failures += 1;
        const gone = isKubeError(error, "KubeGone") && failures === 1;
        const delayMs = gone ? 0 : backOff(failures, limits.backOffMsMin, limits.backOffMsMax, random());
        this.#logger[gone ? "info" : "warn"]({ error, delayMs, failures }, "list or watch failed; it is tried again");
        await sleep(delayMs, undefined, { signal }).catch(() => undefined); // Stopped: the loop's head looks.
      }
    }
  }

  async #list(): Promise<string> {
    const { client, resource, namespace, limits } = this.#options;
    const path = collectionPath(resource, namespace);
    const found = new Map<string, Kind>();
    let from: string | undefined;
    for (;;) {
      const query = { limit: String(limits.pageSize), ...(from !== undefined && { continue: from }) };
      const page = await client.send<ListAnswer<Kind>>({ method: "GET", path, query });
      for (const item of page.items) found.set(keyOf(item), item);
      if (found.size > limits.objectsMax) {
        throw new KubeError("KubeTooLarge", `there are more than ${limits.objectsMax} ${resource.plural}; delete some`);
      }
      from = page.metadata.continue === "" ? undefined : page.metadata.continue;
      if (from === undefined) {
        this.#replace(found);
        return page.metadata.resourceVersion;
      }
    }
  }

  #replace(found: ReadonlyMap<string, Kind>): void {
    this.#heard();
    for (const [key, before] of this.#objects) if (!found.has(key)) this.#forget(key, before);
    for (const object of found.values()) this.#keep(object);
    this.#listed.resolve();
  }

  /** Resolves with the version to go on from, when the server ends the watch, or a new list is due. */
  async #watch(from: string, relistAtMs: number, signal: AbortSignal): Promise<string> {
    const { client, resource, namespace, limits, nowMs } = this.#options;
    const path = collectionPath(resource, namespace);
    const restMs = Math.min(limits.watchMs, Math.max(1_000, relistAtMs - nowMs()));
    const query = {
      resourceVersion: from,
      allowWatchBookmarks: "true",
      timeoutSeconds: String(Math.max(1, Math.round(restMs / 1_000))),
    };
    let version = from;
    // The server ends it in time; one that does not is not what it should be.
    const overdue = AbortSignal.timeout(restMs + limits.watchSilenceMs);
    const both = AbortSignal.any([signal, overdue]);
    for await (const event of client.watch({ path, query, silenceMs: limits.watchSilenceMs, signal: both })) {
      version = this.#take(event);
    }
    // The server ends a watch in order: it was alive until then.
    this.#heard();
    return version;
  }

  #take({ type, object }: WatchEvent): string {
    if (type === "ERROR") {
      const { code } = object as { readonly code?: number };
      throw errorOfStatus(code ?? 0, object, "watch");
    }
    this.#heard();
    // The API server sends objects of the kind that is watched.
    const kind = object as Kind;
    if (type === "DELETED") this.#forget(keyOf(kind), kind);
    else if (type !== "BOOKMARK") this.#keep(kind);
    return kind.metadata.resourceVersion;
  }

  #keep(object: Kind): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#objects.set(key, object);
    this.#options.onChange(key, object, before);
  }

  #forget(key: string, before: Kind): void {
    this.#objects.delete(key);
    this.#options.onChange(key, undefined, before);
  }

  #heard(): void {
    this.#heardAtMs = this.#options.nowMs();
    if (this.#alarmed) this.#logger.info({}, "the API server is heard again");
    this.#alarmed = false;
  }

  #checkAge(): void {
    const { alarmMs } = this.#options.limits;
    const { ageMs } = this;
    if (ageMs <= alarmMs || this.#alarmed) return;
    this.#alarmed = true;
    this.#logger.error({ ageMs, alarmMs }, "nothing heard from the API server for too long; what is known may be old");
  }
}
