import type { Logger, Metrics } from "@cutline/runtime";
import { createHealth } from "./health.ts";
import { json, Listener } from "./listener.ts";
import type { Readiness } from "./readiness.ts";

export interface WaitingRoomOptions {
  readonly admin: { readonly host: string; readonly port: number };
  /** `undefined`: there is none. */
  readonly health: { readonly host: string; readonly port: number } | undefined;
  /** Why the agent has no certificate yet. */
  reason(): string | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface WaitingRoom {
  readonly adminPort: number;
  /** 0: there is none. */
  readonly healthPort: number;
  close(): Promise<void>;
}

/** Answers on the agent's own ports before there is an agent: that it lives, and what it waits for. */
export async function openWaitingRoom(options: WaitingRoomOptions): Promise<WaitingRoom> {
  const { admin, health, metrics, logger } = options;
  const readiness = (): Readiness => {
    const why = options.reason() ?? "it has been asked for";
    const message = `this agent waits for its certificate (CUTLINE_IDENTITY_URL): ${why}`;
    return { outcome: "unready", missing: [{ code: "IdentityMissing", message }], reservations: [] };
  };
  const page = new Listener({
    purpose: "the agent's page",
    portSetting: "CUTLINE_ADMIN_PORT",
    logger,
    async route(path) {
      switch (path) {
        case "/healthz":
          return json(200, { outcome: "healthy" });
        case "/readyz":
          return json(503, readiness());
        default:
          return json(503, { phase: "waiting", readiness: readiness() });
      }
    },
  });
  const probes = createHealth({ isStarted: () => false, readiness: async () => readiness(), metrics, logger });
  const adminPort = await page.listen(admin.host, admin.port);
  const healthPort = health === undefined ? 0 : await probes.listen(health.host, health.port);
  return {
    adminPort,
    healthPort,
    async close() {
      await page.close();
      await probes.close();
    },
  };
}
