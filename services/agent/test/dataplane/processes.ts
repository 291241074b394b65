import type { AcceptedConnection, CallStream, Http2Client } from "@cutline/h2";
import { createLeanClient, createLeanServer } from "@cutline/h2";
import type { Directory } from "@cutline/proto/control";
import type { ChannelFacts, CutFacts, CutTrigger, SnapshotRef } from "@cutline/protocol";
import { type LogFields, type Logger, RefusalLog, type TlsCredentials } from "@cutline/runtime";
import * as grpc from "@grpc/grpc-js";
import { Recorder } from "../../src/capture/recorder.ts";
import { type CallLimits, defaultCallLimits } from "../../src/dataplane/call/call-host.ts";
import { type ApplicationSide, DataPlane } from "../../src/dataplane/data-plane.ts";
import { createFrontDoor } from "../../src/dataplane/front-door.ts";
import { headerValue } from "../../src/dataplane/link/headers.ts";
import { defaultLinkLimits, type Link, type LinkLimits } from "../../src/dataplane/link/link.ts";
import { defaultMeshLimits, type MeshLimits } from "../../src/dataplane/link/mesh.ts";

/** A line of a process's log. */
interface LogLine {
  readonly level: string;
  readonly fields: LogFields;
  readonly message: string;
}

/** What a process has reported of its snapshots. */
interface Reports {
  readonly captures: { readonly ref: SnapshotRef; readonly trigger: CutTrigger }[];
  readonly cuts: CutFacts[];
  readonly channels: ChannelFacts[];
  readonly failures: { readonly ref: SnapshotRef; readonly code: string; readonly message: string }[];
}

export interface ProcessOptions {
  readonly id: string;
  /** Default: `1`. */
  readonly incarnation?: string;
  /** Where the application serves; 0: there is none. */
  readonly applicationPort: number;
  readonly callLimits?: Partial<CallLimits>;
  readonly linkLimits?: Partial<LinkLimits>;
  readonly meshLimits?: Partial<MeshLimits>;
  /** Default: plain TCP. */
  readonly credentials?: TlsCredentials;
  readonly recordedBytesMax?: number;
  readonly confirmsReceipt?: boolean;
  /** Sees the bytes handed to the application, by the path of their call and `request` or `answer`. */
  onHanded?(path: string, part: "request" | "answer", bytes: Uint8Array): void;
  /** What a capture does; by default the cut is made at once. */
  onCapture?(process: TestProcess, ref: SnapshotRef): void;
}

/** One process: a data plane wired as an agent wires it, without an agent's control and captures. */
export interface TestProcess {
  readonly id: string;
  readonly incarnation: string;
  readonly dataPlane: DataPlane;
  readonly recorder: Recorder;
  readonly reports: Reports;
  readonly log: LogLine[];
  /** Where the application dials. */
  readonly outboundPort: number;
  readonly linkAddress: string;
  readonly application: { ready: boolean; error: string | undefined };
  links(): Link[];
  stop(): Promise<void>;
}

const noAddress = 1;

export async function startProcess(options: ProcessOptions): Promise<TestProcess> {
  const incarnation = options.incarnation ?? "1";
  const log: LogLine[] = [];
  const reports: Reports = { captures: [], cuts: [], channels: [], failures: [] };
  const recorder = new Recorder(options.recordedBytesMax ?? 256 * 1024 * 1024);
  const plainClient = createLeanClient({ host: "127.0.0.1", port: options.applicationPort || noAddress });
  const applicationClient = options.onHanded === undefined ? plainClient : tapClient(plainClient, options.onHanded);
  const application = { ready: true, error: undefined as string | undefined };
  const side: ApplicationSide = {
    get ready() {
      return application.ready;
    },
    get error() {
      return application.error;
    },
    confirmsReceipt: options.confirmsReceipt ?? false,
    settle: (call) => call.settled(),
    cancelled() {},
    streamAnswered() {},
  };
  const dataPlane: DataPlane = new DataPlane(
    {
      self: { processId: options.id, incarnation },
      firstIncomingId: 1,
      application: side,
      callLimits: { ...defaultCallLimits, ...options.callLimits },
      linkLimits: { ...defaultLinkLimits, ...options.linkLimits },
      meshLimits: { ...defaultMeshLimits, retryMinMs: 5, ...options.meshLimits },
      security: {
        credentials: options.credentials,
        refusals: new RefusalLog({ logger: listLogger(log), now: () => performance.now() }),
      },
      recorder,
      applicationClient,
      environmentClient: () => undefined,
      now: () => performance.now(),
      logger: listLogger(log),
    },
    {
      onCapture(ref, trigger) {
        reports.captures.push({ ref, trigger });
        if (options.onCapture === undefined) dataPlane.driver.captured(ref);
        else options.onCapture(process, ref);
      },
      onCut: (report) => reports.cuts.push(report),
      onChannel: (report) => reports.channels.push(report),
      onFailed: (ref, code, message) => reports.failures.push({ ref, code, message }),
      onForget() {},
    },
  );
  const linkPort = (await dataPlane.mesh.listen("127.0.0.1", 0)).port;
  const http2Server = createLeanServer();
  const door = createFrontDoor({
    http2Server,
    onConnection: (target) => {
      const connection = dataPlane.outboundConnection(target?.authority);
      return options.onHanded === undefined ? connection : tapConnection(connection, options.onHanded);
    },
    onTunnel: () => ({ outcome: "refused", reason: "no tunnels here" }),
    logger: listLogger(log),
  });
  const outboundPort = await door.listen("127.0.0.1", 0);
  let stopped: Promise<void> | undefined;
  const process: TestProcess = {
    id: options.id,
    incarnation,
    dataPlane,
    recorder,
    reports,
    log,
    outboundPort,
    linkAddress: `127.0.0.1:${linkPort}`,
    application,
    links: () => [...dataPlane.driver.links.values()],
    stop() {
      stopped ??= Promise.all([
        dataPlane.mesh.stop(),
        door.close(0),
        http2Server.close(0),
        applicationClient.close(0),
      ]).then(() => undefined);
      return stopped;
    },
  };
  return process;
}

/** The authority under which a process is dialled. */
export function authorityOf(id: string): string {
  return `${id.replace("/", ".")}:80`;
}

/** `addresses`: where a process is reached, if not at its own port. */
export function directoryOf(
  processes: readonly Pick<TestProcess, "id" | "incarnation" | "linkAddress">[],
  addresses: Readonly<Record<string, string>> = {},
): Directory {
  return {
    version: 1,
    processes: processes.map(({ id, incarnation, linkAddress }) => ({
      processId: id,
      incarnation,
      linkAddress: addresses[id] ?? linkAddress,
      authorities: [authorityOf(id)],
    })),
  };
}

/** Tells every process of all of them. */
export function introduce(processes: readonly TestProcess[], addresses: Readonly<Record<string, string>> = {}): void {
  for (const { dataPlane } of processes) {
    dataPlane.mesh.setDirectory(directoryOf(processes, addresses));
    dataPlane.directoryKnown();
  }
}

/** A client of the application beside `from`, as a service whose `grpc_proxy` is the agent makes it. */
export function dialThrough(from: TestProcess, authority: string, options: grpc.ClientOptions = {}): grpc.Client {
  return new grpc.Client(`127.0.0.1:${from.outboundPort}`, grpc.credentials.createInsecure(), {
    "grpc.default_authority": authority,
    "grpc.max_receive_message_length": -1,
    "grpc.enable_channelz": 0,
    "grpc.enable_retries": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...options,
  });
}

type OnHanded = NonNullable<ProcessOptions["onHanded"]>;

function tapClient(client: Http2Client, onHanded: OnHanded): Http2Client {
  return {
    open: (headers, endStream, events) =>
      tapStream(client.open(headers, endStream, events), (bytes) =>
        onHanded(headerValue(headers, ":path") ?? "", "request", bytes),
      ),
    barrier: () => client.barrier(),
    close: (graceMs) => client.close(graceMs),
    get lastError() {
      return client.lastError;
    },
    get openStreams() {
      return client.openStreams;
    },
  };
}

function tapConnection(connection: AcceptedConnection, onHanded: OnHanded): AcceptedConnection {
  return {
    onCall: (stream, headers, endStream) =>
      connection.onCall(
        tapStream(stream, (bytes) => onHanded(headerValue(headers, ":path") ?? "", "answer", bytes)),
        headers,
        endStream,
      ),
    onClose: () => connection.onClose?.(),
  };
}

function tapStream(stream: CallStream, onWrite: (bytes: Uint8Array) => void): CallStream {
  return {
    respond: (headers, endStream) => stream.respond(headers, endStream),
    write(bytes) {
      onWrite(bytes);
      return stream.write(bytes);
    },
    end: () => stream.end(),
    trailers: (headers) => stream.trailers(headers),
    reset: (code) => stream.reset(code),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    get unsentBytes() {
      return stream.unsentBytes;
    },
  };
}

/** A logger that keeps its lines. */
export function listLogger(lines: LogLine[]): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => {
    lines.push({ level, fields, message });
  };
  const logger: Logger = {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return logger;
}
