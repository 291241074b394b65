import { type AgentHello, type AgentMessage, type ControlServer, ControlService } from "@cutline/proto/control";
import type { Reason, SnapshotRef } from "@cutline/proto/snapshot";
import { CutlineError, type Logger } from "@cutline/runtime";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import { type AgentStream, serveAttach } from "./attach.ts";
import { AgentDirectory } from "./directory.ts";
import type { AgentEvents } from "./port.ts";
import { receivePart, type UploadRefusal, uploadStatusOf } from "./upload.ts";

export interface AgentsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** PEM; mutual TLS. Absent: plain TCP. */
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly limits: AgentsLimits;
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
  /** How long an upload may keep the coordinator waiting for its next message. Default 30000 ms. */
  readonly uploadSilenceMs: number;
}

export const defaultAgentsLimits: AgentsLimits = {
  heartbeatMs: 1_000,
  heartbeatsMissedMax: 4,
  graceMs: 5_000,
  agentQueueMax: 1_000,
  agentsMax: 2_000,
  agentMessageBytesMax: 16 * 1024 * 1024,
  helloTimeoutMs: 5_000,
  uploadSilenceMs: 30_000,
};

/** How long calls may take to end when the server stops. */
const drainMs = 500;

/** The Control service: agents attach here and upload parts. */
export class AgentServer {
  readonly directory = new AgentDirectory();
  readonly #options: AgentsOptions;
  readonly #events: AgentEvents;
  readonly #streams = new Map<string, AgentStream>();
  readonly #server: Server;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #pushedChanges = 0;
  #pushScheduled = false;
  #settledAtMs = 0;
  #beatAtMs = 0;
  #port = 0;

  constructor(options: AgentsOptions, events: AgentEvents) {
    this.#options = options;
    this.#events = events;
    // Channelz stays on: without it, grpc-js does not know its sessions, and forceShutdown leaves them open.
    this.#server = new Server({
      "grpc.max_receive_message_length": options.limits.agentMessageBytesMax,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5_000,
    });
    const handlers: ControlServer = {
      attach: (call) => serveAttach(call, this.#attachSink, options.limits, options.logger),
      upload: (call, callback) => {
        receivePart(call, events, options.limits).then(
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
  }

  /** `host:port`, once started. */
  get address(): string {
    return `${this.#options.host}:${this.#port}`;
  }

  async start(): Promise<void> {
    const { host, port, tls } = this.#options;
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(tls.ca, [{ cert_chain: tls.cert, private_key: tls.key }], true);
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(new CutlineError("BindFailed", `agents cannot be served on ${host}:${port}`, { cause: error }));
      });
    });
    this.#beatAtMs = this.#options.nowMs();
    this.#heartbeatTimer = setInterval(() => this.#beat(), this.#options.limits.heartbeatMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeatTimer);
    this.dismiss("the coordinator stops");
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
  }

  /** Called when this replica begins to lead. The agents of an earlier leader are listed when they are there again. */
  lead(settledAtMs: number): void {
    this.directory.clear();
    this.#pushedChanges = 0;
    this.#settledAtMs = settledAtMs;
    const settleMs = settledAtMs - this.#options.nowMs();
    if (settleMs > 0) setTimeout(() => this.#pushSoon(), settleMs).unref();
  }

  /** Sends every agent away: this replica does not lead, or stops. */
  dismiss(details: string): void {
    for (const stream of this.#streams.values()) stream.close(status.UNAVAILABLE, details);
    this.#streams.clear();
    this.directory.clear();
  }

  /** To one process; dropped when it is not attached: its next welcome tells it. */
  send(processId: string, body: Parameters<AgentStream["queue"]["send"]>[0]): void {
    this.#streams.get(processId)?.queue.send(body);
  }

  sendAll(body: Parameters<AgentStream["queue"]["send"]>[0]): void {
    for (const stream of [...this.#streams.values()]) stream.queue.send(body);
  }

  readonly #attachSink = {
    nowMs: () => this.#options.nowMs(),
    refuse: () => {
      const { agentsMax } = this.#options.limits;
      if (this.#events.term() === undefined) return { code: status.UNAVAILABLE, details: "not leading" };
      if (this.#streams.size < agentsMax) return undefined;
      return { code: status.RESOURCE_EXHAUSTED, details: `${agentsMax} agents are attached already` };
    },
    opened: (stream: AgentStream, hello: AgentHello) => this.#opened(stream, hello),
    received: (stream: AgentStream, body: NonNullable<AgentMessage["body"]>) => this.#received(stream, body),
    broken: (stream: AgentStream) => this.#broken(stream, "stream broken"),
  };

  #opened(stream: AgentStream, hello: AgentHello): void {
    const { processId, incarnation } = stream;
    const { logger, limits } = this.#options;
    const before = this.#streams.get(processId);
    if (before !== undefined) {
      this.#streams.delete(processId);
      logger.info({ processId, incarnation, before: before.incarnation }, "agent stream replaced");
      before.close(status.ABORTED, "another stream of this process took its place");
    }
    this.directory.attach(hello, this.#options.nowMs());
    logger.info(
      { processId, incarnation, agentVersion: hello.agentVersion, captureSource: hello.captureSource },
      "agent attached",
    );
    const { captureSource, labels } = hello;
    // Before the stream is listed: what this sets off reaches the agent by its welcome, which must come first.
    this.#events.attached({ id: processId, incarnation, captureSource, labels });
    const term = this.#events.term() ?? 0;
    const running = this.#events.running(processId, incarnation);
    stream.queue.send({
      $case: "welcome",
      value: { term, heartbeatMs: limits.heartbeatMs, directory: this.#directoryFor(term), running },
    });
    this.#streams.set(processId, stream);
    this.#pushSoon();
    const known = new Set(running.map(({ ref }) => `${ref?.snapshotId}/${ref?.attempt}`));
    for (const ref of hello.openSnapshots) {
      if (!known.has(`${ref.snapshotId}/${ref.attempt}`)) void this.#tellEnd(stream, ref);
    }
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
        this.directory.setStatus(processId, incarnation, body.value);
        return;
      case "leaving":
        this.#leave(stream);
        return;
      case "heartbeat":
        return;
    }
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
    if (this.#streams.get(processId) === stream) this.#streams.delete(processId);
    this.directory.remove(processId, incarnation);
    this.#options.logger.info({ processId, incarnation }, "agent left");
    this.#events.left(processId, incarnation);
    stream.close(status.OK, "");
    this.#pushSoon();
  }

  #broken(stream: AgentStream, reason: string): void {
    const { processId, incarnation } = stream;
    if (this.#streams.get(processId) !== stream) return;
    this.#streams.delete(processId);
    this.#options.logger.warn({ processId, incarnation, reason }, "agent detached");
    // The grace period of the snapshots begins, and so ends, no later than that of the directory.
    this.#events.detached(processId, incarnation);
    this.directory.detach(processId, incarnation, this.#options.nowMs());
  }

  #beat(): void {
    const { limits, logger } = this.#options;
    const nowMs = this.#options.nowMs();
    const silentMs = limits.heartbeatMs * limits.heartbeatsMissedMax;
    // While this program stood still it heard nobody: what agents said then is still to be read.
    const stoodStillMs = nowMs - this.#beatAtMs - limits.heartbeatMs;
    this.#beatAtMs = nowMs;
    if (stoodStillMs > limits.heartbeatMs) {
      for (const stream of this.#streams.values()) stream.lastHeardMs += stoodStillMs;
    }
    for (const stream of [...this.#streams.values()]) {
      if (nowMs - stream.lastHeardMs > silentMs) {
        this.#broken(stream, "heartbeats missed");
        stream.close(status.UNAVAILABLE, `nothing heard for ${silentMs} ms`);
      } else stream.queue.send({ $case: "heartbeat", value: {} });
    }
    const lost = this.directory.expire(nowMs, limits.graceMs);
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
      const value = term === undefined ? undefined : this.#directoryFor(term);
      if (value === undefined || this.#pushedChanges === this.directory.changes) return;
      this.#pushedChanges = this.directory.changes;
      this.sendAll({ $case: "directory", value });
    });
  }

  #directoryFor(term: number) {
    return this.#options.nowMs() < this.#settledAtMs ? undefined : this.directory.toMessage(term);
  }
}

const noReason: Reason = { code: "Unknown", message: "the agent gave no reason", processId: "" };
