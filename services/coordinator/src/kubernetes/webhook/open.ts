import type { Logger, Metrics } from "@cutline/runtime";
import { type ConnectionConfig, openConnection } from "../connection.ts";
import type { ServingCertificate } from "./certificate.ts";
import { defaultWebhookLimits } from "./limits.ts";
import { type InjectionConfig, policyOf } from "./policy.ts";
import { WebhookServer } from "./server.ts";

export interface WebhookConfig extends ConnectionConfig, InjectionConfig {
  readonly webhook: boolean;
  readonly webhookHost: string;
  readonly webhookPort: number;
  readonly identity: boolean;
}

interface Surroundings {
  readonly version: string;
  /** What the server shows, and whom agents are to believe. */
  readonly identity:
    | { readonly servingCertificate: ServingCertificate | undefined; authorities(): string | undefined }
    | undefined;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Webhook {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Once started. */
  readonly port: number;
}

/** `undefined`: this coordinator serves no webhook. Rejects with a `CutlineError`. */
export async function openWebhook(
  config: WebhookConfig,
  { version, identity, nowMs, logger, metrics }: Surroundings,
): Promise<Webhook | undefined> {
  const certificate = identity?.servingCertificate;
  if (!config.webhook || certificate === undefined) return undefined;
  const { client, namespace } = await openConnection(config, nowMs);
  const policy = policyOf(config, {
    version,
    namespace,
    authorities: config.identity ? () => identity?.authorities() : undefined,
    clusterVersion: () => client.send({ method: "GET", path: "/version" }),
    versionMs: defaultWebhookLimits.versionMs,
    now: nowMs,
  });
  const server = new WebhookServer({
    certificate,
    policy,
    limits: defaultWebhookLimits,
    metrics,
    logger: logger.child({ part: "webhook" }),
  });
  let port = 0;
  return {
    async start() {
      port = await server.listen(config.webhookHost, config.webhookPort);
      logger.info({ host: config.webhookHost, port }, "webhook serves");
    },
    async stop() {
      await server.close();
      client.close();
    },
    get port() {
      return port;
    },
  };
}
