import { createLeanClient, createLeanServer } from "@cutline/h2";
import { type ChannelFacts, type CutFacts, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import type { LogFields, Logger } from "@cutline/runtime";
import { type Application, createOpaqueApplication, createParticipantApplication } from "../../../src/application.ts";
import { Capturer } from "../../../src/capture/capturer.ts";
import type { Cutter } from "../../../src/capture/cutter.ts";
import { type CaptureLimits, defaultCaptureLimits } from "../../../src/capture/limits.ts";
import { type ChannelRecords, Recorder } from "../../../src/capture/recorder.ts";
import type { CaptureResult } from "../../../src/capture/result.ts";
import type { StateSource } from "../../../src/capture/state-source.ts";
import { type CallLimits, defaultCallLimits } from "../../../src/dataplane/call/call-host.ts";
import { DataPlane } from "../../../src/dataplane/data-plane.ts";
import { createFrontDoor } from "../../../src/dataplane/front-door.ts";
import { defaultLinkLimits } from "../../../src/dataplane/link/link.ts";
import { defaultMeshLimits } from "../../../src/dataplane/link/mesh.ts";

/** What one process has said of one snapshot. */
interface Contribution {
  cut?: { readonly facts: CutFacts; readonly result: CaptureResult };
  readonly channels: Map<string, { readonly facts: ChannelFacts; readonly records: ChannelRecords }>;
  failure?: string;
}

export interface MemberOptions {
  readonly id: string;
  readonly applicationPort: number;
  /** Where the agent finds the `Participant` service, if not where the application serves its calls. */
  readonly participantPort?: number;
  /** Default: the application is a participant. */
  readonly source?: StateSource;
  readonly captureLimits?: Partial<CaptureLimits>;
  readonly callLimits?: Partial<CallLimits>;
  /** Stands between capture and agent. */
  wrapCutter?(cutter: Cutter): Cutter;
}

/** One agent, put together as the composition root does it, whose reports are kept here. */
export interface Member {
  readonly id: string;
  readonly plane: DataPlane;
  readonly application: Application;
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly linkPort: number;
  readonly log: string[];
  contribution(ref: SnapshotRef): Contribution;
  start(ref: SnapshotRef): void;
  /** The coordinator says that the attempt is over. */
  end(ref: SnapshotRef): void;
  isDone(ref: SnapshotRef): boolean;
  stop(): Promise<void>;
}

export async function startMember(options: MemberOptions): Promise<Member> {
  const { id, applicationPort } = options;
  const log: string[] = [];
  const logger = listLogger(log);
  const now = () => performance.now();
  const limits: CaptureLimits = { ...defaultCaptureLimits, ...options.captureLimits };
  const contributions = new Map<string, Contribution>();
  const contribution = (ref: SnapshotRef): Contribution => {
    const key = snapshotKey(ref);
    let known = contributions.get(key);
    if (known === undefined) {
      known = { channels: new Map() };
      contributions.set(key, known);
    }
    return known;
  };
  const recorder = new Recorder(limits.recordedBytesMax);
  const applicationClient = createLeanClient({
    host: "127.0.0.1",
    port: applicationPort,
    limits: { streamWindowBytes: 256 * 1024 },
  });
  const outboundServer = createLeanServer({ streamWindowBytes: 256 * 1024 });
  const inboundServer = createLeanServer({ streamWindowBytes: 256 * 1024 });
  const applicationOptions = {
    processId: id,
    incarnation: `${id}-1`,
    address: `127.0.0.1:${options.participantPort ?? applicationPort}`,
    client: applicationClient,
    server: outboundServer,
    limits,
    now,
    logger,
  };
  const application =
    options.source === undefined
      ? createParticipantApplication(applicationOptions)
      : createOpaqueApplication(applicationOptions, options.source);
  const plane: DataPlane = new DataPlane(
    {
      self: { processId: id, incarnation: `${id}-1` },
      firstIncomingId: application.firstIncomingId,
      application: application.side,
      callLimits: { ...defaultCallLimits, ...options.callLimits },
      linkLimits: defaultLinkLimits,
      meshLimits: { ...defaultMeshLimits, retryMinMs: 5 },
      recorder,
      applicationClient,
      environmentClient: () => undefined,
      now,
      logger,
    },
    {
      onCapture: (ref, trigger) => capturer.request(ref, trigger),
      onCut(facts) {
        contribution(facts.ref).cut = { facts, result: capturer.takeResult(facts.ref) };
      },
      onChannel(facts) {
        contribution(facts.ref).channels.set(facts.channel, {
          facts,
          records: recorder.encode(facts.ref, facts.channel),
        });
      },
      onFailed(ref, code, message) {
        capturer.forget(ref);
        contribution(ref).failure = `${code}: ${message}`;
      },
      onForget: (ref) => capturer.forget(ref),
    },
  );
  const plainCutter = application.attach(plane);
  const capturer = new Capturer({
    cutter: options.wrapCutter?.(plainCutter) ?? plainCutter,
    driver: () => plane.driver,
    waitingMax: limits.waitingMax,
    onTrafficFlows: () => application.onTrafficFlows(),
    logger,
  });
  const { port: linkPort } = await plane.mesh.listen("127.0.0.1", 0);
  const outboundDoor = createFrontDoor({
    http2Server: outboundServer,
    onConnection: (target) => plane.outboundConnection(target?.authority),
    onTunnel: () => ({ outcome: "refused", reason: "no tunnels here" }),
    logger,
  });
  const inboundDoor = createFrontDoor({
    http2Server: inboundServer,
    onConnection: () => plane.inboundConnection("outside"),
    onTunnel: () => ({ outcome: "refused", reason: "no tunnels here" }),
    logger,
  });
  const outboundPort = await outboundDoor.listen("127.0.0.1", 0);
  const inboundPort = await inboundDoor.listen("127.0.0.1", 0);
  application.start();
  return {
    id,
    plane,
    application,
    outboundPort,
    inboundPort,
    linkPort,
    log,
    contribution,
    start: (ref) => plane.driver.start(ref, "start"),
    end: (ref) => plane.driver.ended(ref),
    isDone(ref) {
      const { failure } = contribution(ref);
      return failure !== undefined || plane.driver.state.snapshots.get(snapshotKey(ref))?.phase === "done";
    },
    async stop() {
      application.stop();
      await Promise.all([
        plane.mesh.stop(),
        outboundDoor.close(0),
        inboundDoor.close(0),
        outboundServer.close(0),
        inboundServer.close(0),
        applicationClient.close(0),
      ]);
    },
  };
}

/** The authority under which a process is dialled. */
export function authorityOf(id: string): string {
  return `${id.replace("/", ".")}:80`;
}

/** Tells every agent of all of them. `linkPorts`: where a process is reached, if not at its own port. */
export function introduce(members: readonly Member[], linkPorts: Readonly<Record<string, number>> = {}): void {
  for (const { plane } of members) {
    plane.mesh.setDirectory({
      version: 1,
      processes: members.map(({ id, linkPort }) => ({
        processId: id,
        incarnation: `${id}-1`,
        linkAddress: `127.0.0.1:${linkPorts[id] ?? linkPort}`,
        authorities: [authorityOf(id)],
      })),
    });
    plane.directoryKnown();
  }
}

function listLogger(lines: string[]): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => {
    const { error, ...rest } = fields as { error?: unknown };
    lines.push(`${level}: ${message} ${JSON.stringify(rest)}${error === undefined ? "" : ` ${String(error)}`}`);
  };
  const logger: Logger = {
    trace: () => undefined,
    debug: () => undefined,
    info: () => undefined,
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return logger;
}
