import {
  type AgentHello,
  type AgentMessage,
  type AgentStatus,
  type ClosedAuthorities,
  type ControlServer,
  ControlService,
  type Directory,
} from "@cutline/proto/control";
import type { Reason, SnapshotRef } from "@cutline/proto/snapshot";
import { Attendance, directoryVersion, endedMeanwhile } from "@cutline/protocol";
import { type Logger, type Metrics, RefusalLog, type TlsCredentials } from "@cutline/runtime";
import { Server, status } from "@grpc/grpc-js";
import { type AgentStream, type AttachCall, serveAttach } from "./attach.ts";
import { Entrance } from "./entrance.ts";
import type { AgentEvents, Naming, NamingStanding } from "./port.ts";
import { receivePart, type UploadRefusal, uploadStatusOf } from "./upload.ts";

export interface AgentsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Mutual TLS. Absent: plain TCP. */
  readonly credentials?: TlsCredentials | undefined;
  readonly metrics?: Metrics;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly limits: AgentsLimits;
  /** Absent: processes have the authorities that their agents tell, and no others. */
  readonly naming?: Naming | undefined;
}

export interface AgentsLimits {
  /** Between two heartbeats. Default 1000 ms. */
  readonly heartbeatMs: number;
  /** Heartbeats missed until an agent counts as detached. Default 4. */
  readonly heartbeatsMissedMax: number;
  /** How long a detached process stays known. Default 5000 ms. */
  readonly graceMs: number;
  /** Messages that wait for one slow agent. Default 1000. */
  readonly agentQueueMax: number;
  /** Agents attached at a time. Default 2000. */
  readonly agentsMax: number;
  /** One message of an agent. Default 16 MiB. */
  readonly agentMessageBytesMax: number;
  /** How long an agent may take to say who it is. Default 5000 ms. */
  readonly helloTimeoutMs: number;
  /** How long a connection may take to its first bytes, and from there to the end of the TLS handshake. Default 5000 ms. */
  readonly handshakeTimeoutMs: number;
  /** How long an upload may keep the coordinator waiting for its next message. Default 30000 ms. */
  readonly uploadSilenceMs: number;
  /** Links, reasons and peers of the environment that one status of an agent lists, of each. Default 10000. */
  readonly statusEntriesMax: number;
}

export const defaultAgentsLimits: AgentsLimits = {
  heartbeatMs: 1_000,
  heartbeatsMissedMax: 4,
  graceMs: 5_000,
  agentQueueMax: 1_000,
  agentsMax: 2_000,
  agentMessageBytesMax: 16 * 1024 * 1024,
  helloTimeoutMs: 5_000,
  handshakeTimeoutMs: 5_000,
  uploadSilenceMs: 30_000,
  statusEntriesMax: 10_000,
};

/** How long calls may take to end when the server stops. */
const drainMs = 500;
/** An agent that comes back may be there twice for a while. */
const connectionsPerAgentMax = 2;

/** The Control service: agents attach here and upload parts. */
export class AgentServer {
  readonly #options: AgentsOptions;
  readonly #events: AgentEvents;
  /** What decides who is attached, and what of the directory is said when. */
  readonly #attendance: Attendance<AgentStream, AgentHello, AgentStatus>;
  readonly #server: Server;
  readonly #entrance: Entrance;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #pushScheduled = false;
  #port = 0;

  constructor(options: AgentsOptions, events: AgentEvents) {
    this.#options = options;
    this.#events = events;
    this.#attendance = new Attendance(options.limits, options.nowMs());
    // Channelz stays on: without it, grpc-js does not know its sessions, and forceShutdown leaves them open.
    this.#server = new Server({
      "grpc.max_receive_message_length": options.limits.agentMessageBytesMax,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5_000,
    });
    const handlers: ControlServer = {
      attach: (call) => serveAttach(call, this.#attachSink, options.limits, options.logger),
      upload: (call, callback) => {
        receivePart(call, events, options.limits, (processId) => this.#entrance.check(call, processId)).then(
          (response) => callback(null, response),
          (error: unknown) => {
            const refused = uploadStatusOf(error);
            this.#logRefusal(refused, error);
            callback(refused);
          },
        );
      },
    };
    this.#server.addService(ControlService, handlers);
    const { credentials, limits, logger, metrics, nowMs } = options;
    this.#entrance = new Entrance(this.#server, {
      credentials,
      refusals: new RefusalLog({ logger, metrics, now: nowMs }),
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      connectionsMax: connectionsPerAgentMax * limits.agentsMax,
    });
  }

  get directory() {
    return this.#attendance.directory;
  }

  /** `host:port`, once started. */
  get address(): string {
    return `${this.#options.host}:${this.#port}`;
  }

  /** All that lead to the process: what its agent says, and what the cluster's Services do. */
  authoritiesOf(hello: AgentHello): string[] {
    const { naming } = this.#options;
    if (naming === undefined) return [...new Set(hello.authorities)];
    return [...new Set([...naming.declaredBy(hello), ...naming.authoritiesOf(hello)])];
  }

  /** Of what is known from the cluster; `undefined` where nothing is asked there. */
  namingStanding(): NamingStanding | undefined {
    return this.#options.naming?.standing();
  }

  /** Who is listed stays; the authorities of some have changed. */
  namesChanged(): void {
    this.directory.noteChange();
    this.#pushSoon();
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.#port = await this.#entrance.listen(host, port);
    this.#heartbeatTimer = setInterval(() => this.#beat(), this.#options.limits.heartbeatMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeatTimer);
    this.dismiss("the coordinator stops");
    this.#entrance.stopListening();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, drainMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#entrance.close();
  }

  /** Called when this replica begins to lead. The directory is kept back until `settledAtMs`. */
  lead(settledAtMs: number): void {
    this.#attendance.lead(settledAtMs);
    const settleMs = settledAtMs - this.#options.nowMs();
    if (settleMs > 0) setTimeout(() => this.#pushSoon(), settleMs).unref();
  }

  /** Sends every agent away: this replica does not lead, or stops. */
  dismiss(details: string): void {
    for (const stream of this.#attendance.dismiss()) stream.close(status.UNAVAILABLE, details);
  }

  /** To one process; dropped when it is not attached: its next welcome tells it. */
  send(processId: string, body: Parameters<AgentStream["queue"]["send"]>[0]): void {
    this.#attendance.find(processId)?.queue.send(body);
  }

  sendAll(body: Parameters<AgentStream["queue"]["send"]>[0]): void {
    for (const stream of this.#attendance.streams()) stream.queue.send(body);
  }

  readonly #attachSink = {
    nowMs: () => this.#options.nowMs(),
    refuse: (call: AttachCall, processId: string) => {
      const { agentsMax } = this.#options.limits;
      const impostor = this.#entrance.check(call, processId);
      if (impostor !== undefined) return impostor;
      if (this.#events.term() === undefined) return { code: status.UNAVAILABLE, details: "not leading" };
      if (this.#attendance.size < agentsMax) return undefined;
      return { code: status.RESOURCE_EXHAUSTED, details: `${agentsMax} agents are attached already` };
    },
    opened: (stream: AgentStream, hello: AgentHello) => this.#opened(stream, hello),
    received: (stream: AgentStream, body: NonNullable<AgentMessage["body"]>) => this.#received(stream, body),
    broken: (stream: AgentStream) => this.#broken(stream, "stream broken"),
  };

  #opened(stream: AgentStream, hello: AgentHello): void {
    const { processId, incarnation } = stream;
    const { logger, limits } = this.#options;
    const before = this.#attendance.greet(hello, this.#options.nowMs());
    if (before !== undefined) {
      logger.info({ processId, incarnation, before: before.incarnation }, "agent stream replaced");
      before.close(status.ABORTED, "another stream of this process took its place");
    }
    logger.info(
      { processId, incarnation, agentVersion: hello.agentVersion, captureSource: hello.captureSource },
      "agent attached",
    );
    const { captureSource, labels } = hello;
    this.#events.attached({ id: processId, incarnation, captureSource, labels });
    const term = this.#events.term() ?? 0;
    const running = this.#events.running(processId, incarnation);
    stream.queue.send({
      $case: "welcome",
      value: { term, heartbeatMs: limits.heartbeatMs, directory: this.#directoryFor(term), running },
    });
    this.#attendance.welcomed(stream);
    this.#pushSoon();
    const refs = running.flatMap(({ ref }) => ref ?? []);
    for (const ref of endedMeanwhile(hello.openSnapshots, refs)) void this.#tellEnd(stream, ref);
  }

  async #tellEnd(stream: AgentStream, ref: SnapshotRef): Promise<void> {
    try {
      stream.queue.send({ $case: "end", value: await this.#events.endOf(ref) });
    } catch (error) {
      // The agent keeps the snapshot open until its next welcome, or its own deadline.
      this.#options.logger.warn({ processId: stream.processId, ...ref, error }, "end of a snapshot not known");
    }
  }

  #received(stream: AgentStream, body: NonNullable<AgentMessage["body"]>): void {
    const { processId, incarnation } = stream;
    switch (body.$case) {
      case "hello":
        this.#broken(stream, "second hello");
        stream.close(status.FAILED_PRECONDITION, "a stream has one hello");
        return;
      case "cut":
        if (body.value.ref !== undefined) this.#events.cut(processId, incarnation, body.value.ref, body.value);
        return;
      case "channel":
        if (body.value.ref !== undefined) this.#events.channel(processId, incarnation, body.value.ref, body.value);
        return;
      case "captureFailed": {
        const { ref, reason } = body.value;
        if (ref !== undefined) this.#events.captureFailed(processId, incarnation, ref, reason ?? noReason);
        return;
      }
      case "status":
        this.directory.setStatus(processId, incarnation, this.#bounded(stream, body.value));
        return;
      case "leaving":
        this.#leave(stream);
        return;
      case "heartbeat":
        return;
    }
  }

  /** What is too long to be kept is not kept, and the topology says so; snapshots need none of it. */
  #bounded({ processId }: AgentStream, value: AgentStatus): AgentStatus {
    const { statusEntriesMax } = this.#options.limits;
    const [links, reasons, environment] = [value.links.length, value.reasons.length, value.environment.length];
    if (Math.max(links, reasons, environment) <= statusEntriesMax) return value;
    const message = `the agent listed ${links} links, ${reasons} reasons and ${environment} peers; statusEntriesMax = ${statusEntriesMax} of each are kept`;
    this.#options.logger.warn({ processId, reason: message }, "status of an agent not kept");
    return { ready: false, reasons: [{ code: "StatusTooLarge", message, processId }], links: [], environment: [] };
  }

  /** After a take-over or an end, refused uploads are the rule; what the store or this program did wrong is not. */
  #logRefusal(refused: UploadRefusal, error: unknown): void {
    const fields = { code: status[refused.code], reason: refused.details };
    switch (refused.level) {
      case "expected":
        this.#options.logger.debug(fields, "upload refused");
        return;
      case "trouble":
        this.#options.logger.warn(fields, "upload refused");
        return;
      case "fault":
        this.#options.logger.error({ ...fields, error }, "upload refused");
    }
  }

  #leave(stream: AgentStream): void {
    const { processId, incarnation } = stream;
    this.#attendance.leave(stream);
    this.#options.logger.info({ processId, incarnation }, "agent left");
    this.#events.left(processId, incarnation);
    stream.close(status.OK, "");
    this.#pushSoon();
  }

  #broken(stream: AgentStream, reason: string): void {
    const { processId, incarnation } = stream;
    if (this.#attendance.broken(stream) === "stale") return;
    this.#options.logger.warn({ processId, incarnation, reason }, "agent detached");
    this.#events.detached(processId, incarnation);
    this.directory.detach(processId, incarnation, this.#options.nowMs());
  }

  #beat(): void {
    const { limits, logger } = this.#options;
    const nowMs = this.#options.nowMs();
    for (const stream of this.#attendance.silent(nowMs)) {
      this.#broken(stream, "heartbeats missed");
      const silentMs = limits.heartbeatMs * limits.heartbeatsMissedMax;
      stream.close(status.UNAVAILABLE, `nothing heard for ${silentMs} ms`);
    }
    this.sendAll({ $case: "heartbeat", value: {} });
    const lost = this.#attendance.expire(nowMs);
    for (const { hello } of lost) {
      logger.warn({ processId: hello.processId, incarnation: hello.incarnation }, "agent lost");
    }
    // Snapshots learn of it before the agents do, whose reports would name the consequence and not the cause.
    if (lost.length > 0) this.#events.timePassed();
    this.#pushSoon();
  }

  /** Changes of one turn go out as one directory. */
  #pushSoon(): void {
    if (this.#pushScheduled) return;
    this.#pushScheduled = true;
    setImmediate(() => {
      this.#pushScheduled = false;
      const term = this.#events.term();
      if (this.#options.naming?.phase === "waiting") return;
      if (term === undefined || this.#attendance.pushDirectory(this.#options.nowMs()) === "notDue") return;
      this.sendAll({ $case: "directory", value: this.#directoryOf(term) });
    });
  }

  #directoryFor(term: number): Directory | undefined {
    if (this.#options.naming?.phase === "waiting") return undefined;
    return this.#attendance.isSettled(this.#options.nowMs()) ? this.#directoryOf(term) : undefined;
  }

  #directoryOf(term: number): Directory {
    return {
      version: directoryVersion(term, this.directory.changes),
      processes: this.directory.list().map(({ hello }) => ({
        processId: hello.processId,
        incarnation: hello.incarnation,
        linkAddress: hello.linkAddress,
        authorities: this.authoritiesOf(hello),
        closed: this.#closedOf(hello),
      })),
      clusterDomain: this.#options.naming?.clusterDomain,
    };
  }

  #closedOf(hello: AgentHello): ClosedAuthorities | undefined {
    const authorities = [...(this.#options.naming?.closedAuthoritiesOf(hello) ?? [])];
    return authorities.length === 0 ? undefined : { authorities };
  }
}

const noReason: Reason = { code: "Unknown", message: "the agent gave no reason", processId: "" };
