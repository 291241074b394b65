import { isIPv4 } from "node:net";
import { CutlineError, type Logger, type Metrics } from "@cutline/runtime";
import { type Access, openAccess as accessForAll } from "../../http/access.ts";
import { type ConnectionConfig, openConnection } from "../connection.ts";
import { KubernetesAccess } from "./kubernetes-access.ts";
import { type accessModes, defaultAccessLimits } from "./limits.ts";
import { TokenFileAccess } from "./token-file.ts";

export interface AccessConfig extends ConnectionConfig {
  readonly httpHost: string;
  readonly access: (typeof accessModes)[number] | undefined;
  readonly accessTokensFile: string | undefined;
  readonly accessAudience: string;
  readonly accessNamespace: string | undefined;
  readonly accessCacheMs: number;
}

interface Surroundings {
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}

export interface OpenedAccess {
  readonly access: Access;
  start(): void;
  stop(): void;
}

/** Rejects with `ConfigInvalid` when nobody has said that strangers may call, or with what is wrong with the settings. */
export async function openAccess(config: AccessConfig, surroundings: Surroundings): Promise<OpenedAccess> {
  const { nowMs, metrics } = surroundings;
  const logger = surroundings.logger.child({ part: "access" });
  const limits = { ...defaultAccessLimits, cacheMs: config.accessCacheMs };
  switch (config.access) {
    case "tokens": {
      const { accessTokensFile: file } = config;
      if (file === undefined) throw wrong("CUTLINE_ACCESS=tokens takes CUTLINE_ACCESS_TOKENS_FILE");
      const tokens = await TokenFileAccess.open({ file, rereadMs: limits.rereadMs, logger });
      return { access: counted(tokens, metrics), start: () => tokens.watch(), stop: () => tokens.stop() };
    }
    case "kubernetes": {
      const { client } = await openConnection(config, nowMs, limits.reviewTimeoutMs);
      const { accessAudience: audience, accessNamespace: namespace } = config;
      const access = new KubernetesAccess({ client, audience, namespace, limits, nowMs, logger });
      return { access: counted(access, metrics), start: () => undefined, stop: () => client.close() };
    }
    default: {
      const isLoopback = isLoopbackHost(config.httpHost);
      if (config.access === undefined && !isLoopback) {
        throw wrong(
          `CUTLINE_HTTP_HOST is ${config.httpHost}, where others could read every state: set CUTLINE_ACCESS to kubernetes or tokens, or to open if that is meant`,
        );
      }
      if (!isLoopback)
        logger.warn({ host: config.httpHost }, "everybody who reaches the REST API may read every state");
      return { access: accessForAll, start: () => undefined, stop: () => undefined };
    }
  }
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function counted(access: Access, metrics: Metrics | undefined): Access {
  const counter = metrics?.counter("cutline_access_checks_total", {
    help: "Calls of the REST API that were judged, by the outcome: allowed, unauthenticated, forbidden or unknown",
    labels: ["outcome"],
  });
  return {
    isOpen: access.isOpen,
    async check(token, permission) {
      const outcome = await access.check(token, permission);
      counter?.add({ outcome: outcome.outcome });
      return outcome;
    },
  };
}

function wrong(message: string): CutlineError {
  return new CutlineError("ConfigInvalid", message);
}
