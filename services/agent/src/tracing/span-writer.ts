import { randomBytes } from "node:crypto";
import { describeError, type Logger } from "@cutline/runtime";
import type { CountedCall } from "../metrics/call-book.ts";
import { type CallStatus, statusName, statusNames } from "../metrics/call-series.ts";
import { parseTraceParent } from "./trace-parent.ts";

export interface SpanLimits {
  /** Spans that wait to be sent; more are dropped. Default 2048. */
  readonly waitingMax: number;
  /** Spans in one request. Default 512. */
  readonly batchMax: number;
  /** Between requests. Default 1 s. */
  readonly intervalMs: number;
  /** For one request. Default 5 s. */
  readonly timeoutMs: number;
}

const defaultSpanLimits: SpanLimits = { waitingMax: 2_048, batchMax: 512, intervalMs: 1_000, timeoutMs: 5_000 };

export interface SpanWriterOptions {
  /** Takes OTLP over HTTP with JSON, say `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string;
  readonly processId: string;
  readonly version: string;
  readonly limits?: Partial<SpanLimits>;
  readonly logger: Logger;
}

const spanKind = { server: 2, client: 3 } as const;
const statusError = 2;

/**
 * One span for each call whose caller has asked for it by a sampled `traceparent`, as the child of that. The headers go
 * on as they came: the spans of both agents and of the called application stand side by side below the caller's.
 * Spans are the first to go: when the collector is slow or away they are dropped, and counted.
 */
export class SpanWriter {
  sent = 0;
  dropped = 0;
  readonly #options: SpanWriterOptions;
  readonly #limits: SpanLimits;
  #waiting: object[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #failure: string | undefined;

  constructor(options: SpanWriterOptions) {
    this.#options = options;
    this.#limits = { ...defaultSpanLimits, ...options.limits };
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sendSome(), this.#limits.intervalMs);
    this.#timer.unref();
  }

  /** Sends what waits, as far as one request each takes it; the rest is dropped. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    await this.#sendSome();
    this.dropped += this.#waiting.length;
    this.#waiting = [];
  }

  readonly callOver = (call: CountedCall, status: CallStatus, endedAtMs: number): void => {
    const parent = parseTraceParent(call.trace);
    if (parent === undefined) return;
    if (this.#waiting.length >= this.#limits.waitingMax) {
      this.dropped += 1;
      return;
    }
    const { direction, names } = call.series;
    const [service = "", method = ""] = names.method.slice(1).split("/");
    this.#waiting.push({
      traceId: parent.traceId,
      parentSpanId: parent.spanId,
      spanId: randomBytes(8).toString("hex"),
      name: names.method.slice(1),
      kind: direction === "inbound" ? spanKind.server : spanKind.client,
      startTimeUnixNano: unixNanos(call.beganAtMs),
      endTimeUnixNano: unixNanos(endedAtMs),
      attributes: [
        attribute("rpc.system", "grpc"),
        attribute("rpc.service", service),
        attribute("rpc.method", method),
        attribute("server.address", names.authority),
        attribute("cutline.peer", names.peer),
        status < statusNames.none
          ? { key: "rpc.grpc.status_code", value: { intValue: String(status) } }
          : attribute("cutline.end", statusName(status)),
      ],
      status: status === 0 || status === statusNames.none ? {} : { code: statusError, message: statusName(status) },
    });
  };

  #sendSome(): Promise<void> {
    this.#sending ??= this.#send(this.#waiting.splice(0, this.#limits.batchMax)).finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #send(spans: readonly object[]): Promise<void> {
    if (spans.length === 0) return;
    const { url, logger } = this.#options;
    const failure = await this.#post(spans);
    if (failure === undefined) this.sent += spans.length;
    else this.dropped += spans.length;
    // The same failure over and over is said once.
    if (failure !== undefined && this.#failure === undefined)
      logger.warn({ url, reason: failure }, "spans are dropped");
    if (failure === undefined && this.#failure !== undefined) logger.info({ url }, "spans are taken again");
    this.#failure = failure;
  }

  /** Returns why the spans were not taken. */
  async #post(spans: readonly object[]): Promise<string | undefined> {
    const { url, processId, version } = this.#options;
    const [namespace = "", name = ""] = processId.split("/");
    const resource = {
      attributes: [attribute("service.namespace", namespace), attribute("service.name", `${name}-cutline-agent`)],
    };
    const scopeSpans = [{ scope: { name: "cutline-agent", version }, spans }];
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "error",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }),
        signal: AbortSignal.timeout(this.#limits.timeoutMs),
      });
      await response.arrayBuffer();
      return response.ok ? undefined : `the collector answered ${response.status}`;
    } catch (error) {
      return describeError(error);
    }
  }
}

function attribute(key: string, value: string) {
  return { key, value: { stringValue: value } };
}

/** Of an instant on the clock of `performance.now()`. */
function unixNanos(atMs: number): string {
  return String(BigInt(Math.round((performance.timeOrigin + atMs) * 1_000)) * 1_000n);
}
