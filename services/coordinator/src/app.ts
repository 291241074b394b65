import { randomUUID } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { defaultSnapshotPolicy } from "@cutline/protocol";
import {
  createLifecycle,
  createMetrics,
  type Lifecycle,
  type Logger,
  type Metrics,
  openCredentials,
  type StopOutcome,
  type TlsCredentials,
} from "@cutline/runtime";
import { AgentServer, defaultAgentsLimits } from "./agents/server.ts";
import type { CoordinatorConfig } from "./config.ts";
import { nowMs } from "./driver/clock.ts";
import { Driver } from "./driver/driver.ts";
import { defaultDriverLimits } from "./driver/limits.ts";
import type { Access } from "./http/access.ts";
import { createHttp } from "./http/app.ts";
import { openAccess } from "./kubernetes/access/open.ts";
import type { Identity } from "./kubernetes/identity/open.ts";
import { openController, openDiscovery } from "./kubernetes/open.ts";
import { openWebhook } from "./kubernetes/webhook/open.ts";
import { openStore } from "./store/open.ts";
import type { Store } from "./store/port.ts";
import { version } from "./version.ts";

export interface Coordinator {
  /** Resolves when agents and callers are served, leading or not. Rejects with a `CutlineError`. */
  start(): Promise<void>;
  /** Never rejects. Running snapshots stay in the store for the next leader. */
  stop(): Promise<StopOutcome>;
  /** `http://host:port`, once started. */
  readonly httpAddress: string;
  /** `host:port` for agents, once started. */
  readonly grpcAddress: string;
  /** Where agents get their certificates, once started; 0: nowhere. */
  readonly identityPort: number;
  /** Where the API server calls the webhook, once started; 0: nowhere. */
  readonly webhookPort: number;
}

export interface CoordinatorOptions {
  readonly logger: Logger;
}

/** The composition root: the one place where the parts meet. */
export function createCoordinator(config: CoordinatorConfig, { logger }: CoordinatorOptions): Coordinator {
  let httpAddress = "";
  let grpcAddress = "";
  let identityPort = 0;
  let webhookPort = 0;
  let starting: Promise<Lifecycle> | undefined;

  async function startAll(): Promise<Lifecycle> {
    const metrics = createMetrics({ nodeMetrics: true });
    const access = await openAccess(config, { nowMs, logger, metrics });
    const identity = await openIdentityIfAny(config, { nowMs, logger, metrics });
    const webhook = await openWebhook(config, { version, identity, nowMs, logger, metrics });
    const self = { kind: "coordinator" } as const;
    const credentials = await openCredentials({ config, self, logger, metrics, source: identity?.tlsSource });
    const descriptorSet = config.descriptorSetFile === undefined ? undefined : await readFile(config.descriptorSetFile);
    await makeFolder(config.storeUrl);
    const store = await openStore({
      url: config.storeUrl,
      operationTimeoutMs: config.storeOperationTimeoutMs,
      keyPrefix: config.storeKeyPrefix,
      topology: config.storeTopology,
      sizeBytesMax: config.storeSizeBytesMax,
    });
    try {
      const surroundings = { logger, metrics, store, credentials, descriptorSet, access: access.access };
      const { driver, agents, http, controller, discovery } = await compose(config, surroundings);
      const lifecycle = createLifecycle({
        logger,
        stopMsMax: config.stopGraceMs,
        parts: [
          { name: "identity", start: () => identity?.start(credentials), stop: () => identity?.stop() },
          { name: "certificate", start: () => credentials?.watch(), stop: () => credentials?.stop() },
          { name: "store", start: () => undefined, stop: () => store.close() },
          { name: "discovery", start: () => discovery?.start(), stop: () => discovery?.stop() },
          { name: "driver", start: () => driver.begin(), stop: () => driver.end() },
          { name: "agents", start: () => agents.start(), stop: () => agents.stop() },
          { name: "access", start: () => access.start(), stop: () => access.stop() },
          {
            name: "http",
            start: async () => void (await http.listen({ host: config.httpHost, port: config.httpPort })),
            stop: () => http.close(),
          },
          { name: "kubernetes", start: () => controller?.start(), stop: () => controller?.stop() },
          { name: "webhook", start: () => webhook?.start(), stop: () => webhook?.stop() },
        ],
      });
      await lifecycle.start();
      const { port } = http.server.address() as AddressInfo;
      httpAddress = `http://${config.httpHost}:${port}`;
      grpcAddress = agents.address;
      identityPort = identity?.port ?? 0;
      webhookPort = webhook?.port ?? 0;
      logger.info(
        { httpAddress, grpcAddress, tls: credentials === undefined ? "off" : "mutual" },
        "coordinator serves",
      );
      return lifecycle;
    } catch (error) {
      // Closing twice is harmless, and the life cycle may not have come to it.
      await store.close();
      throw error;
    }
  }

  return {
    async start() {
      starting ??= startAll();
      await starting;
    },
    async stop() {
      const lifecycle = await starting?.catch(() => undefined);
      return (await lifecycle?.stop()) ?? { outcome: "clean" };
    },
    get httpAddress() {
      return httpAddress;
    },
    get grpcAddress() {
      return grpcAddress;
    },
    get identityPort() {
      return identityPort;
    },
    get webhookPort() {
      return webhookPort;
    },
  };
}

/** What reads and writes certificates is loaded only where it is needed. */
async function openIdentityIfAny(
  config: CoordinatorConfig,
  surroundings: { readonly nowMs: () => number; readonly logger: Logger; readonly metrics: Metrics },
): Promise<Identity | undefined> {
  if (!config.identity && !config.webhook) return undefined;
  const { openIdentity } = await import("./kubernetes/identity/open.ts");
  return await openIdentity(config, surroundings);
}

interface Surroundings {
  readonly logger: Logger;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly credentials: TlsCredentials | undefined;
  readonly descriptorSet: Buffer | undefined;
  readonly access: Access;
}

async function compose(
  config: CoordinatorConfig,
  { logger, metrics, store, credentials, descriptorSet, access }: Surroundings,
) {
  const holder = randomUUID();
  const driver = new Driver({
    store,
    holder,
    limits: { ...defaultDriverLimits, ...driverLimitsOf(config) },
    policy: { ...defaultSnapshotPolicy, graceMs: config.graceMs },
    nowMs,
    logger,
    metrics,
  });
  const discovery = await openDiscovery(config, { nowMs, logger, metrics });
  const { heartbeatMs, graceMs, agentsMax } = config;
  const agents = new AgentServer(
    {
      host: config.agentsHost,
      port: config.agentsPort,
      credentials,
      metrics,
      nowMs,
      logger,
      limits: { ...defaultAgentsLimits, heartbeatMs, graceMs, agentsMax },
      naming: discovery,
    },
    driver,
  );
  driver.connect(agents);
  discovery?.connect({
    processes: () => agents.directory.list().map(({ hello }) => hello),
    namesChanged: () => agents.namesChanged(),
  });
  const http = createHttp({
    snapshots: driver,
    store,
    logger,
    metrics,
    access,
    limits: { closeGraceMs: Math.floor(config.stopGraceMs / 2) },
    ...(descriptorSet === undefined ? {} : { descriptorSet }),
  });
  const controller = await openController(config, {
    snapshots: driver,
    term: () => driver.term(),
    holder,
    instance: hostname(),
    nowMs,
    logger,
    metrics,
  });
  return { driver, agents, http, controller, discovery };
}

function driverLimitsOf(config: CoordinatorConfig) {
  const { concurrentMax, minimumPauseMs, timeoutMsDefault, attemptsDefault } = config;
  const { stateBytesMax, snapshotBytesMax, keepMax, keepMs, leaseMs, settleMs } = config;
  return {
    concurrentMax,
    minimumPauseMs,
    timeoutMsDefault,
    attemptsDefault,
    stateBytesMax,
    snapshotBytesMax,
    keepMax,
    keepMs,
    leaseMs,
    settleMs,
  };
}

/** The embedded store makes its file, not its folder. */
async function makeFolder(storeUrl: string): Promise<void> {
  if (!storeUrl.startsWith("file:") || storeUrl.startsWith("file://")) return;
  const path = storeUrl.slice("file:".length);
  if (path !== ":memory:") await mkdir(dirname(path), { recursive: true });
}
