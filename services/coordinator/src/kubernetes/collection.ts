import type { ResourcePath } from "./api/resources.ts";
import { Reflector, type ReflectorOptions } from "./reflector.ts";
import { type KubeObject, keyOf } from "./resources/objects.ts";

export interface CollectionOptions
  extends Pick<ReflectorOptions<KubeObject>, "client" | "limits" | "nowMs" | "random" | "logger"> {
  /** Empty: all. */
  readonly namespaces: readonly string[];
}

/** The copies of one kind, of all namespaces that are watched. */
export class Collection<Kind extends KubeObject> {
  readonly #reflectors: readonly Reflector<Kind>[];

  constructor(
    options: CollectionOptions,
    resource: ResourcePath,
    onChange: (key: string, object: Kind | undefined, before: Kind | undefined) => void,
  ) {
    const { client, limits, nowMs, random, logger } = options;
    const namespaces = options.namespaces.length === 0 ? [undefined] : options.namespaces;
    this.#reflectors = namespaces.map(
      (namespace) => new Reflector<Kind>({ client, resource, namespace, limits, nowMs, random, logger, onChange }),
    );
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  get listed(): Promise<unknown> {
    return Promise.all(this.#reflectors.map((reflector) => reflector.listed));
  }

  get ageMs(): number {
    return Math.max(...this.#reflectors.map((reflector) => reflector.ageMs));
  }

  get size(): number {
    return this.#reflectors.reduce((sum, reflector) => sum + reflector.size, 0);
  }

  get(key: string): Kind | undefined {
    for (const reflector of this.#reflectors) {
      const object = reflector.get(key);
      if (object !== undefined) return object;
    }
    return undefined;
  }

  learn(object: Kind): void {
    for (const reflector of this.#reflectors) reflector.learn(object);
  }

  *all(): Generator<Kind> {
    for (const reflector of this.#reflectors) yield* reflector.all();
  }

  *keys(): Generator<string> {
    for (const object of this.all()) yield keyOf(object);
  }
}
