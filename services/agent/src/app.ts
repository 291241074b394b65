import { randomUUID } from "node:crypto";
import type { Http2Client, Http2Server } from "@cutline/h2";
import type { AgentHello, EndSnapshot, StartSnapshot } from "@cutline/proto/control";
import type { SnapshotRef } from "@cutline/protocol";
import {
  createLifecycle,
  createMetrics,
  type Logger,
  type Metrics,
  RefusalLog,
  type StopOutcome,
  type TlsCredentials,
} from "@cutline/runtime";
import { createAdmin } from "./admin/admin.ts";
import { type Application, createOpaqueApplication, createParticipantApplication } from "./application.ts";
import { Capturer } from "./capture/capturer.ts";
import type { CaptureLimits } from "./capture/limits.ts";
import { Recorder } from "./capture/recorder.ts";
import { type AgentConfig, agentConfig } from "./config.ts";
import { captureLimitsOf, readSettings } from "./config-parts.ts";
import { statusOf } from "./control/agent-status.ts";
import { CoordinatorClient } from "./control/coordinator-client.ts";
import type { AgentIdentity } from "./control/identity.ts";
import { controlProtocolVersion, defaultControlLimits } from "./control/limits.ts";
import { SnapshotDesk } from "./control/snapshot-desk.ts";
import { StatusReporter } from "./control/status-reporter.ts";
import { defaultCallLimits } from "./dataplane/call/call-host.ts";
import { DataPlane } from "./dataplane/data-plane.ts";
import { DirectCallers, ownAddresses } from "./dataplane/direct-callers.ts";
import { createFrontDoor } from "./dataplane/front-door.ts";
import { createHttp2Ends } from "./dataplane/http2-ends.ts";
import { formatAddress, parseAddress } from "./dataplane/link/address.ts";
import { defaultLinkLimits } from "./dataplane/link/link.ts";
import { defaultMeshLimits } from "./dataplane/link/mesh.ts";
import { leave } from "./leave.ts";
import { SpanWriter } from "./tracing/span-writer.ts";

export interface Agent {
  /** Resolves when traffic is served, whether or not the coordinator has been reached. Rejects with a `CutlineError`. */
  start(): Promise<void>;
  /** Lets open calls and running snapshots finish, within the grace period, and leaves. Never rejects. */
  stop(): Promise<StopOutcome>;
  /** Once started. */
  readonly ports: AgentPorts;
}

export interface AgentPorts {
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly linkPort: number;
  readonly adminPort: number;
  /** 0: there is none. */
  readonly healthPort: number;
}

const agentVersion = "0.1.0";

export interface AgentSurroundings {
  readonly logger: Logger;
  /** Shows what the agent counts. Default: one of its own. */
  readonly metrics?: Metrics;
  /** Mutual TLS on links and to the coordinator. Absent: plain TCP. */
  readonly credentials?: TlsCredentials | undefined;
  /** Renews what `credentials` reads. */
  readonly identity?: AgentIdentity | undefined;
}

/** The composition root: the one place where the parts meet. Throws a `CutlineError` for settings that cannot be. */
export function createAgent(
  config: AgentConfig,
  { logger, credentials, identity, metrics = createMetrics() }: AgentSurroundings,
): Agent {
  const settings = readSettings(config);
  const self = { processId: config.processId, incarnation: randomUUID() };
  const now = () => performance.now();
  const refusals = new RefusalLog({ logger, now, metrics });
  const captureLimits = captureLimitsOf(config);
  const { applicationClient, outboundServer, inboundServer, environmentClients, ...http2 } = createHttp2Ends({
    applicationAddress: config.applicationAddress,
    heldBytesMax: config.http2HeldBytesMax,
    isLeaving: () => phase === "leaving",
    now,
    logger,
  });
  const surroundings = { self, applicationClient, outboundServer, captureLimits, now, logger };
  const application = createApplication(config, surroundings);
  const recorder = new Recorder(captureLimits.recordedBytesMax);

  const plane = new DataPlane(
    {
      self,
      firstIncomingId: application.firstIncomingId,
      application: application.side,
      callLimits: { ...defaultCallLimits, messageBytesMax: config.messageBytesMax },
      linkLimits: {
        ...defaultLinkLimits,
        unacknowledgedBytesMax: config.unacknowledgedBytesMax,
        openCallsMax: config.openCallsMax,
        headerBytesMax: config.headerBytesMax,
        inboundBytesMax: config.inboundBytesMax,
      },
      meshLimits: { ...defaultMeshLimits, resumeTimeoutMs: config.resumeTimeoutMs },
      security: { credentials, refusals },
      recorder,
      applicationClient,
      environmentClient: (authority) => environmentClients.get(authority),
      now,
      logger,
    },
    {
      onCapture(ref, trigger) {
        desk.noticed(ref);
        capturer.request(ref, trigger);
      },
      onCut(report) {
        const result = capturer.takeResult(report.ref);
        admin.counted.captured(result.exact ? "exact" : "inexact", result.pauseUs);
        desk.cut(report, result);
      },
      onChannel: (report) => desk.channelClosed(report, recorder.encode(report.ref, report.channel)),
      onFailed(ref, code, message) {
        capturer.forget(ref);
        admin.counted.captureFailed(code);
        desk.failed(ref, code, message);
      },
      onForget(ref) {
        capturer.forget(ref);
        desk.forget(ref);
      },
    },
  );
  const { driver } = plane;
  const capturer = new Capturer({
    cutter: application.attach(plane),
    driver: () => driver,
    waitingMax: captureLimits.waitingMax,
    onTrafficFlows: () => application.onTrafficFlows(),
    logger,
  });

  let ports: AgentPorts = { outboundPort: 0, inboundPort: 0, linkPort: 0, adminPort: 0, healthPort: 0 };
  let phase: "starting" | "serving" | "leaving" = "starting";
  let wasAttached = false;
  const client = new CoordinatorClient({
    address: config.coordinatorAddress,
    ...(credentials === undefined ? {} : { security: { credentials, refusals } }),
    hello: (): AgentHello => ({
      protocolVersion: controlProtocolVersion,
      ...self,
      agentVersion,
      linkAddress: formatAddress(config.linkAdvertisedHost ?? config.linkHost, ports.linkPort),
      authorities: [...config.authorities],
      ...reachedAt(config),
      captureSource: settings.source === "participant" ? "participant" : settings.source.name,
      labels: settings.labels,
      openSnapshots: desk.openSnapshots(),
    }),
    events: {
      onWelcome({ running }) {
        wasAttached = true;
        for (const start of running) begin(start, "attach");
        desk.repeat();
        status.welcomed();
      },
      onDirectory(directory) {
        plane.mesh.setDirectory(directory);
        plane.directoryKnown();
      },
      onStart: (start) => begin(start, "start"),
      onEnd: ({ ref }: EndSnapshot) => {
        if (ref !== undefined) end(ref);
      },
      onDetached() {},
    },
    limits: defaultControlLimits,
    logger,
    now,
  });
  const directCallers =
    config.traffic === "env"
      ? new DirectCallers({ port: settings.application.port, isOwn: ownAddresses(), logger })
      : undefined;
  const environment = () => [...plane.environment.peers(), ...(directCallers?.peers() ?? [])];
  const desk = new SnapshotDesk({
    self,
    client,
    environment,
    limits: defaultControlLimits,
    logger,
    now,
    onGivenUp: (ref, code, message) => driver.captureFailed(ref, code, message),
    onExpired: end,
  });
  const status = new StatusReporter(
    client,
    () => statusOf(plane, application, credentials, environment()),
    defaultControlLimits,
  );

  function begin({ ref, store, remainingMs }: StartSnapshot, trigger: "start" | "attach"): void {
    if (ref === undefined) return;
    desk.begun(ref, store, remainingMs);
    driver.start(ref, trigger);
  }

  function end(ref: SnapshotRef): void {
    driver.ended(ref);
    desk.ended(ref);
  }

  const outboundDoor = createFrontDoor({
    http2Server: outboundServer,
    onConnection: (target, { remoteAddress = "unknown" }) =>
      http2.logged("outbound", remoteAddress, plane.outboundConnection(target?.authority)),
    onTunnel({ host, port, authority }) {
      return { outcome: "open", host, port, onClosed: plane.environment.count(authority, "outbound").ended };
    },
    logger,
  });
  const inboundDoor = createFrontDoor({
    http2Server: inboundServer,
    onConnection: (_target, { remoteAddress = "unknown" }) =>
      http2.logged("inbound", remoteAddress, plane.inboundConnection(remoteAddress)),
    onTunnel: () => ({ outcome: "refused", reason: "calls to the application come as HTTP/2 without TLS" }),
    logger,
  });

  const spans =
    config.spansUrl === undefined
      ? undefined
      : new SpanWriter({ url: config.spansUrl, processId: config.processId, version: agentVersion, logger });
  plane.book.onCallOver = spans?.callOver;
  const admin = createAdmin({
    spans,
    self,
    version: agentVersion,
    definition: agentConfig,
    config,
    rule: config.readiness,
    plane,
    http2: http2.meters,
    held: http2.held,
    phase: () => phase,
    coordinator: () => ({
      address: config.coordinatorAddress,
      attached: client.attached,
      wasAttached,
      reason: client.failure,
    }),
    application: {
      address: config.applicationAddress,
      ...settings.application,
      error: () => application.side.error,
      unreadyReason: () => application.unreadyReason,
    },
    metrics,
    now,
    logger,
  });

  let directoryTimer: NodeJS.Timeout | undefined;
  const stopMsMax = config.stopGraceMs;
  const lifecycle = createLifecycle({
    logger,
    stopMsMax,
    parts: [
      {
        // First, so that it tells of the start and of the leaving.
        name: "page",
        async start() {
          const adminPort = await admin.server.listen(config.adminHost, config.adminPort);
          ports = { ...ports, adminPort };
        },
        stop: () => admin.server.close(),
      },
      {
        name: "health",
        async start() {
          if (config.healthHost === undefined) return;
          ports = { ...ports, healthPort: await admin.health.listen(config.healthHost, config.healthPort) };
        },
        stop: () => admin.health.close(),
      },
      { name: "spans", start: () => spans?.start(), stop: () => spans?.stop() },
      { name: "certificate", start: () => credentials?.watch(), stop: () => credentials?.stop() },
      { name: "identity", start: () => identity?.start(() => void credentials?.look()), stop: () => identity?.stop() },
      {
        name: "mesh",
        async start() {
          const { port } = await plane.mesh.listen(config.linkHost, config.linkPort);
          ports = { ...ports, linkPort: port };
        },
        stop: () => plane.mesh.stop(),
      },
      {
        name: "application",
        start: () => application.start(),
        async stop() {
          application.stop();
          await Promise.all([applicationClient.close(0), environmentClients.close(0)]);
        },
      },
      { name: "direct callers", start: () => directCallers?.start(), stop: () => directCallers?.stop() },
      { name: "status", start: () => undefined, stop: () => status.stop() },
      {
        name: "coordinator",
        start() {
          client.start();
          // Without a coordinator traffic goes on: after a while authorities are taken to be outside of the mesh.
          directoryTimer = setTimeout(() => plane.goWithoutDirectory(), config.directoryWaitMs);
        },
        async stop() {
          clearTimeout(directoryTimer);
          await client.stop();
        },
      },
      {
        name: "doors",
        async start() {
          const outboundPort = await outboundDoor.listen(config.outboundHost, config.outboundPort);
          const inboundPort = await inboundDoor.listen(config.inboundHost, config.inboundPort);
          ports = { ...ports, outboundPort, inboundPort };
        },
        stop: () =>
          leave({
            plane,
            desk,
            client,
            inbound: { door: inboundDoor, http2Server: inboundServer },
            outbound: { door: outboundDoor, http2Server: outboundServer },
            graceMs: stopMsMax,
            now,
          }),
      },
    ],
  });

  return {
    async start() {
      await lifecycle.start();
      if (phase === "starting") phase = "serving";
      const tls = credentials === undefined ? "off" : "mutual";
      logger.info({ ...self, ...ports, application: config.applicationAddress, tls }, "agent serves");
    },
    stop() {
      phase = "leaving";
      return lifecycle.stop();
    },
    get ports() {
      return ports;
    },
  };
}

/** The coordinator is told before the doors are open, so an inbound port that the system chooses is not told. */
function reachedAt(config: AgentConfig): Pick<AgentHello, "applicationPort" | "inboundPort"> {
  const application = parseAddress(config.applicationAddress);
  return {
    ...(application !== undefined && { applicationPort: application.port }),
    ...(config.inboundPort > 0 && { inboundPort: config.inboundPort }),
  };
}

interface ApplicationSurroundings {
  readonly self: { readonly processId: string; readonly incarnation: string };
  readonly applicationClient: Http2Client;
  readonly outboundServer: Http2Server;
  readonly captureLimits: CaptureLimits;
  now(): number;
  readonly logger: Logger;
}

function createApplication(config: AgentConfig, surroundings: ApplicationSurroundings): Application {
  const { self, applicationClient, outboundServer, captureLimits, now, logger } = surroundings;
  const { source } = readSettings(config);
  const options = {
    ...self,
    address: config.applicationAddress,
    client: applicationClient,
    server: outboundServer,
    limits: captureLimits,
    now,
    logger,
  };
  return source === "participant" ? createParticipantApplication(options) : createOpaqueApplication(options, source);
}
