import type { Logger, Metrics } from "@cutline/runtime";
import { openWaitingRoom } from "../admin/waiting-room.ts";
import type { AgentConfig } from "../config.ts";
import { AgentIdentity } from "./identity.ts";

interface Surroundings {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/** Has a certificate when it resolves. Rejects with an `IdentityError` when none is to be had. */
export async function openIdentity(
  config: AgentConfig,
  url: string,
  { logger, metrics, signal }: Surroundings,
): Promise<AgentIdentity> {
  const identity = new AgentIdentity({
    url: new URL(url),
    tokenFile: config.identityTokenFile,
    folder: config.identityFolder,
    firstAuthorities: config.identityAuthorities,
    processId: config.processId,
    waitMs: config.identityWaitMs,
    nowMs: Date.now,
    random: Math.random,
    logger,
  });
  const { adminHost, adminPort, healthHost, healthPort } = config;
  const room = await openWaitingRoom({
    admin: { host: adminHost, port: adminPort },
    health: healthHost === undefined ? undefined : { host: healthHost, port: healthPort },
    reason: () => identity.failure,
    metrics,
    logger,
  });
  try {
    await identity.open(signal);
  } finally {
    await room.close();
  }
  return identity;
}
