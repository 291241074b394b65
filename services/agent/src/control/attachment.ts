import {
  type AgentHello,
  type AgentMessage,
  ControlClient,
  type CoordinatorMessage,
  type Welcome,
} from "@cutline/proto/control";
import { type ChannelCredentials, type ClientDuplexStream, type StatusObject, status } from "@grpc/grpc-js";
import type { ControlLimits } from "./limits.ts";

export interface AttachmentEnd {
  readonly code: status;
  readonly details: string;
  /** Whether the coordinator had taken this agent in. */
  readonly welcomed: boolean;
}

export interface AttachmentEvents {
  onWelcome(welcome: Welcome): void;
  onMessage(body: NonNullable<CoordinatorMessage["body"]>): void;
}

/** A coordinator may ask for a heartbeat this often, in ms. */
const heartbeatRangeMs = { min: 10, max: 60_000 };

/**
 * One Attach stream on a connection of its own, from dialling to its end. Another try is another connection, so that it
 * may reach another replica.
 */
export class Attachment {
  readonly rpc: ControlClient;
  readonly #limits: ControlLimits;
  readonly #events: AttachmentEvents;
  readonly #stream: ClientDuplexStream<AgentMessage, CoordinatorMessage>;
  readonly #over = new AbortController();
  readonly #ended = Promise.withResolvers<AttachmentEnd>();
  readonly #attachTimer: NodeJS.Timeout;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #silentBeats = 0;
  #phase: "greeting" | "welcomed" | "finishing" = "greeting";
  #welcomed = false;

  /** Throws when the address is no gRPC target. */
  constructor(
    { address, credentials }: { readonly address: string; readonly credentials: ChannelCredentials },
    hello: AgentHello,
    limits: ControlLimits,
    events: AttachmentEvents,
  ) {
    this.#limits = limits;
    this.#events = events;
    this.rpc = new ControlClient(address, credentials, {
      // Repeating is done here, where it is known what may be repeated.
      "grpc.enable_retries": 0,
      "grpc.enable_channelz": 0,
      // `grpc_proxy` is for the application beside this agent; the control plane never goes through the data plane.
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": limits.messageBytesMax,
    });
    this.#stream = this.rpc.attach();
    this.#stream.on("data", (message: CoordinatorMessage) => this.#received(message));
    this.#stream.on("status", ({ code, details }: StatusObject) => this.#end(code, details));
    this.#stream.on("error", () => {}); // The status comes after it and tells the same.
    this.#attachTimer = setTimeout(
      () => this.#end(status.DEADLINE_EXCEEDED, `no welcome within ${limits.attachTimeoutMs} ms`),
      limits.attachTimeoutMs,
    );
    this.#stream.write({ body: { $case: "hello", value: hello } });
  }

  get ended(): Promise<AttachmentEnd> {
    return this.#ended.promise;
  }

  /** Aborts at the end: what else uses the connection is over too. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  get open(): boolean {
    return this.#phase === "welcomed" && !this.over.aborted;
  }

  send(body: NonNullable<AgentMessage["body"]>): "sent" | "detached" {
    if (!this.open) return "detached";
    const { queuedMessagesMax } = this.#limits;
    if (this.#stream.writableLength >= queuedMessagesMax) {
      this.#end(status.RESOURCE_EXHAUSTED, `more than ${queuedMessagesMax} messages wait for the coordinator`);
      return "detached";
    }
    this.#stream.write({ body });
    return "sent";
  }

  /** Sends what waits and no more. Over within `stopTimeoutMs`. */
  finish(): void {
    if (!this.open) {
      this.#end(status.CANCELLED, "the agent stops");
      return;
    }
    this.#phase = "finishing";
    this.#stream.end();
    const timer = setTimeout(
      () => this.#end(status.CANCELLED, "the coordinator did not close the stream"),
      this.#limits.stopTimeoutMs,
    );
    this.over.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  #received({ body }: CoordinatorMessage): void {
    this.#silentBeats = 0;
    // A kind of message this version does not know is left alone, so that coordinators may be newer.
    if (body === undefined || this.over.aborted) return;
    if (this.#phase === "welcomed") {
      if (body.$case !== "welcome") this.#events.onMessage(body);
    } else if (this.#phase === "greeting" && body.$case === "welcome") {
      this.#phase = "welcomed";
      this.#welcomed = true;
      clearTimeout(this.#attachTimer);
      const { min, max } = heartbeatRangeMs;
      const heartbeatMs = Math.min(Math.max(body.value.heartbeatMs, min), max);
      this.#heartbeatTimer = setInterval(() => this.#beat(heartbeatMs), heartbeatMs);
      this.#events.onWelcome(body.value);
    }
  }

  /** Beats are counted, not time: an agent that itself stood still does not take the coordinator for silent. */
  #beat(heartbeatMs: number): void {
    const { heartbeatsMissedMax } = this.#limits;
    this.#silentBeats += 1;
    if (this.#silentBeats > heartbeatsMissedMax) {
      const details = `the coordinator was silent for ${heartbeatsMissedMax} heartbeats of ${heartbeatMs} ms`;
      this.#end(status.DEADLINE_EXCEEDED, details);
      return;
    }
    // Whatever waits already is a sign of life as good.
    if (this.#stream.writableLength === 0) this.send({ $case: "heartbeat", value: {} });
  }

  #end(code: status, details: string): void {
    if (this.over.aborted) return;
    clearTimeout(this.#attachTimer);
    clearInterval(this.#heartbeatTimer);
    this.#over.abort();
    this.#stream.cancel();
    this.rpc.close();
    this.#ended.resolve({ code, details, welcomed: this.#welcomed });
  }
}
