import { createHash } from "node:crypto";
import type { Logger } from "@cutline/runtime";
import type { KubeClient } from "./api/client.ts";
import { isKubeError } from "./api/errors.ts";
import { kubeTime } from "./conditions.ts";
import { apiVersion } from "./resources/names.ts";
import type { KubeObject } from "./resources/objects.ts";

export interface EventFacts {
  readonly type: "Normal" | "Warning";
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}

export interface EventsOptions {
  readonly client: KubeClient;
  /** The pod's name, or the machine's. */
  readonly instance: string;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

const component = "cutline-coordinator";
const messageCharsMax = 1_024;

/** Writes Events about objects. They are news, not truth: one that cannot be written is dropped with a line in the log. */
export class Events {
  readonly #options: EventsOptions;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  async tell(kind: string, object: KubeObject, facts: readonly EventFacts[]): Promise<void> {
    for (const fact of facts) await this.#tell(kind, object, fact);
  }

  async #tell(kind: string, { metadata }: KubeObject, { type, reason, message }: EventFacts): Promise<void> {
    const { client, instance, nowMs, logger } = this.#options;
    const { namespace, name, uid, resourceVersion } = metadata;
    const time = kubeTime(nowMs());
    // The same change told twice has the same name, and is refused.
    const digest = createHash("sha256")
      .update(JSON.stringify([uid, resourceVersion, reason, message]))
      .digest("hex");
    const body = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name.slice(0, 230)}.${digest.slice(0, 16)}`, namespace },
      involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
      type,
      reason,
      message: message.slice(0, messageCharsMax),
      source: { component, host: instance },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    try {
      await client.send({ method: "POST", path: `/api/v1/namespaces/${namespace}/events`, body });
    } catch (error) {
      if (isKubeError(error, "KubeConflict")) return;
      logger.warn({ object: `${namespace}/${name}`, reason, error }, "event not written");
    }
  }
}
