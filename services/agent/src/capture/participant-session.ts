import { setTimeout as delay } from "node:timers/promises";
import { createLeanClient, type Http2Client } from "@cutline/h2";
import {
  type CaptureEnd,
  type CapturePoint,
  ParticipantClient,
  type ParticipantHelloResponse,
  type ReceiptsResponse,
} from "@cutline/proto/participant";
import type { SnapshotRef } from "@cutline/protocol";
import { describeError, type Logger } from "@cutline/runtime";
import { type ClientReadableStream, credentials, Metadata, type ServiceError, status as Status } from "@grpc/grpc-js";
import { parseAddress } from "../dataplane/link/address.ts";
import { CaptureCall } from "./capture-call.ts";
import { CaptureError, type CaptureErrorCode } from "./errors.ts";

/** The capture contract; both ends must name the same. */
const participantProtocolVersion = 1;

export interface ParticipantLimits {
  /** For one answer to `Hello` or `Settle`. Default 2 s. */
  readonly answerTimeoutMs: number;
  /** First and longest pause between tries to reach the application. Defaults 20 ms and 1 s. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Largest message of the contract; a point has about 60 bytes for each open call. Default 64 MiB. */
  readonly messageBytesMax: number;
}

export const defaultParticipantLimits: ParticipantLimits = {
  answerTimeoutMs: 2_000,
  retryMinMs: 20,
  retryMaxMs: 1_000,
  messageBytesMax: 64 * 1024 * 1024,
};

export interface ParticipantEvents {
  /** The application has been greeted, or is known not to be there: calls that waited may go on. */
  onKnown(): void;
  /** It takes no connection any more: nobody will say what it had received. */
  onGone(): void;
  /** It was started anew since the last greeting. */
  onNewInstance(): void;
  /** Returns whether the next one may come at once; `later`: after `resume`. */
  onReceipts(receipts: ReceiptsResponse): "next" | "later";
}

export interface ParticipantOptions {
  /** host:port. */
  readonly address: string;
  readonly agentIncarnation: string;
  readonly firstCallId: number;
  readonly limits: ParticipantLimits;
  readonly logger: Logger;
}

/** A capture whose instant has passed: where the calls stand, and the state's bytes as they come. */
export interface OpenCapture {
  readonly point: CapturePoint;
  /** To be gone through once; a chunk is the reader's. Afterwards `end` is what the application says the state was. */
  chunks(): AsyncIterable<Uint8Array>;
  readonly end: CaptureEnd | undefined;
}

export interface PreparedCapture {
  /** Has the application captured. Resolves at the point; rejects with a {@link CaptureError}. To be called once. */
  request(ref: SnapshotRef, deadlineMs: number, stateBytesMax: number): Promise<OpenCapture>;
  /** Instead of `request`. */
  cancel(): void;
}

type Phase =
  /** Not greeted yet. */
  | { readonly phase: "unknown" }
  | { readonly phase: "ready"; readonly hello: ParticipantHelloResponse }
  | { readonly phase: "away"; readonly reason: string }
  /** It serves, but not this contract. */
  | { readonly phase: "foreign"; readonly reason: string };

/** The agent's side of the capture contract (docs/reference/capture-contract.md). */
export class ParticipantSession {
  readonly #options: ParticipantOptions;
  readonly #client: ParticipantClient;
  /** Of its own: a state does not stand in line with the traffic. */
  readonly #captureClient: Http2Client;
  readonly #stopping = new AbortController();
  #events: ParticipantEvents | undefined;
  #phase: Phase = { phase: "unknown" };
  #instance: string | undefined;
  readonly #whenKnown = new Set<() => void>();
  #receipts: ClientReadableStream<ReceiptsResponse> | undefined;

  constructor(options: ParticipantOptions) {
    this.#options = options;
    const { retryMinMs, retryMaxMs, messageBytesMax } = options.limits;
    this.#client = new ParticipantClient(options.address, credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      "grpc.initial_reconnect_backoff_ms": retryMinMs,
      "grpc.min_reconnect_backoff_ms": retryMinMs,
      "grpc.max_reconnect_backoff_ms": retryMaxMs,
      "grpc.max_receive_message_length": messageBytesMax,
    });
    const target = parseAddress(options.address);
    if (target === undefined) throw new RangeError(`${options.address} is no host:port`);
    this.#captureClient = createLeanClient({ ...target, connectionsMax: 1 });
  }

  get ready(): boolean {
    return this.#phase.phase !== "unknown";
  }

  /** Why the application cannot be reached. */
  get error(): string | undefined {
    return this.#phase.phase === "away" ? this.#phase.reason : undefined;
  }

  /** From the first greeting on, also while the application is away: what it was handed by name stays named. */
  get confirmsReceipt(): boolean {
    return this.#instance !== undefined && this.#phase.phase !== "foreign";
  }

  /** Why no capture is possible now. */
  get unreadyReason(): string | undefined {
    switch (this.#phase.phase) {
      case "ready":
        return undefined;
      case "unknown":
        return "the application has not answered yet";
      default:
        return this.#phase.reason;
    }
  }

  /** Greets the application, and again whenever it has gone, until `stop`. */
  start(events: ParticipantEvents): void {
    this.#events = events;
    this.#keepGreeting().catch((error) =>
      this.#options.logger.error({ error }, "the application is not greeted any more"),
    );
  }

  stop(): void {
    this.#stopping.abort();
    this.#receipts?.cancel();
    this.#client.close();
    void this.#captureClient.close(0);
  }

  /** After `onReceipts` said `later`. */
  resume(): void {
    this.#receipts?.resume();
  }

  /** See `Participant.Settle`. */
  settle(callIds: number[]): Promise<{ stillOpen: number[] }> {
    return new Promise((resolve, reject) => {
      this.#client.settle({ callIds }, new Metadata(), { deadline: this.#deadline() }, (error, response) => {
        if (error !== null) reject(error);
        else resolve(response);
      });
    });
  }

  /** Waits until it is known whether the application is there; for as long as greeting it may take. */
  async whenKnown(signal: AbortSignal): Promise<void> {
    if (this.ready) return;
    const { answerTimeoutMs, retryMaxMs } = this.#options.limits;
    const overdue = AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs + retryMaxMs)]);
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#whenKnown.delete(done);
        overdue.removeEventListener("abort", done);
        resolve();
      };
      this.#whenKnown.add(done);
      overdue.addEventListener("abort", done);
      if (overdue.aborted) done();
    });
  }

  /**
   * Opens the call that a capture needs and sends nothing on it yet: what that takes of both programs, traffic need not
   * stand still for. `signal` ends it, and the capture. Throws a {@link CaptureError} when the application is not there.
   */
  prepareCapture(signal: AbortSignal): PreparedCapture {
    if (this.#phase.phase !== "ready") {
      throw new CaptureError("ApplicationUnreachable", `the state cannot be captured: ${this.unreadyReason}`);
    }
    const call = new CaptureCall({
      client: this.#captureClient,
      authority: this.#options.address,
      messageBytesMax: this.#options.limits.messageBytesMax,
    });
    const abort = () => call.cancel();
    signal.addEventListener("abort", abort, { once: true });
    const over = () => signal.removeEventListener("abort", abort);
    return {
      async request(ref, deadlineMs, stateBytesMax) {
        const { snapshotId, attempt } = ref;
        // The application keeps the deadline itself; this is for one that does not.
        const overdue = setTimeout(abort, deadlineMs + captureGraceMs);
        try {
          call.request({ snapshotId, attempt, deadlineMs, stateBytesMax });
          const body = (await call.next())?.body;
          if (body?.$case === "point") return new StreamedCapture(body.value, call, signal, over);
          const message = `the application answered ${body?.$case ?? "nothing"} instead of a point`;
          throw new CaptureError("CaptureRefused", message);
        } catch (error) {
          abort();
          over();
          throw toCaptureError(error, signal, deadlineMs);
        } finally {
          clearTimeout(overdue);
        }
      },
      cancel() {
        abort();
        over();
      },
    };
  }

  async #keepGreeting(): Promise<void> {
    const { retryMinMs, retryMaxMs } = this.#options.limits;
    let pauseMs = retryMinMs;
    while (!this.#stopping.signal.aborted) {
      try {
        this.#greeted(await this.#hello());
        const sinceMs = performance.now();
        await this.#followReceipts();
        // It may only have closed the connection: until it has been asked again, calls wait.
        this.#become({ phase: "unknown" });
        if (performance.now() - sinceMs >= retryMaxMs) pauseMs = retryMinMs;
      } catch (error) {
        const { code, details } = error as ServiceError;
        // Whatever else is wrong, traffic can be handed over as to any server; only a capture is not possible.
        const phase = code === Status.UNAVAILABLE ? "away" : "foreign";
        this.#become({ phase, reason: `the application cannot be greeted: ${details ?? describeError(error)}` });
      }
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => "stopping");
      pauseMs = Math.min(pauseMs * 2, retryMaxMs);
    }
  }

  #hello(): Promise<ParticipantHelloResponse> {
    const { agentIncarnation, firstCallId } = this.#options;
    const request = { protocolVersion: participantProtocolVersion, agentIncarnation, firstCallId };
    return new Promise((resolve, reject) => {
      this.#client.hello(request, new Metadata(), { deadline: this.#deadline() }, (error, response) => {
        if (error !== null) reject(error);
        else resolve(response);
      });
    });
  }

  #greeted(hello: ParticipantHelloResponse): void {
    if (this.#instance !== undefined && this.#instance !== hello.instance) this.#events?.onNewInstance();
    this.#instance = hello.instance;
    this.#become({ phase: "ready", hello });
  }

  /** Resolves when the stream has ended. */
  #followReceipts(): Promise<void> {
    return new Promise((resolve) => {
      const stream = this.#client.receipts({});
      this.#receipts = stream;
      stream.on("data", (receipts: ReceiptsResponse) => {
        if (this.#events?.onReceipts(receipts) === "later") stream.pause();
      });
      const { logger } = this.#options;
      stream.once("error", (error: ServiceError) => {
        logger.debug({ reason: error.details }, "the application's receipts broke off");
        resolve();
      });
      stream.once("end", () => resolve());
    });
  }

  #become(phase: Phase): void {
    const before = this.#phase;
    this.#phase = phase;
    if (before.phase !== phase.phase) {
      const { logger } = this.#options;
      if (phase.phase === "ready")
        logger.info({ instance: phase.hello.instance, sdk: phase.hello.sdk }, "application greeted");
      else if ("reason" in phase && !this.#stopping.signal.aborted) {
        logger.warn({ phase: phase.phase, reason: phase.reason }, "application cannot be captured");
      }
    }
    if (phase.phase === "away" && before.phase !== "away") this.#events?.onGone();
    if (phase.phase !== "unknown") for (const known of [...this.#whenKnown]) known();
    this.#events?.onKnown();
  }

  #deadline(): Date {
    return new Date(Date.now() + this.#options.limits.answerTimeoutMs);
  }
}

/** What an application may take beyond the deadline it was told. */
const captureGraceMs = 500;

class StreamedCapture implements OpenCapture {
  readonly point: CapturePoint;
  end: CaptureEnd | undefined;
  readonly #call: CaptureCall;
  readonly #signal: AbortSignal;
  readonly #over: () => void;

  /** `over`: called when the call is not needed any more. */
  constructor(point: CapturePoint, call: CaptureCall, signal: AbortSignal, over: () => void) {
    this.point = point;
    this.#call = call;
    this.#signal = signal;
    this.#over = over;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const body = (await this.#call.next())?.body;
        if (body?.$case === "end") {
          this.end = body.value;
          // Reads the status too, so that the call ends in order.
          await this.#call.next();
          return;
        }
        if (body?.$case !== "stateChunk") {
          throw new CaptureError("StateDamaged", `the application sent ${body?.$case ?? "no end"} behind its state`);
        }
        yield body.value;
      }
    } catch (error) {
      throw toCaptureError(error, this.#signal, undefined);
    } finally {
      this.#call.cancel();
      this.#over();
    }
  }
}

/** `deadlineMs` undefined: the point has passed, and it was the state that did not come. */
function toCaptureError(error: unknown, signal: AbortSignal, deadlineMs: number | undefined): CaptureError {
  if (error instanceof CaptureError) return error;
  if (signal.aborted) return new CaptureError("CaptureAborted", "the capture was given up", { cause: error });
  const { code, details } = error as Partial<ServiceError>;
  const said = details ?? describeError(error);
  if (said.startsWith("StateTooLarge:")) return new CaptureError("StateTooLarge", said, { cause: error });
  if (deadlineMs === undefined) {
    return new CaptureError("StateUnreadable", `the state did not come to its end: ${said}`, { cause: error });
  }
  if (code === Status.DEADLINE_EXCEEDED || code === Status.CANCELLED) {
    const message = `the application was not captured within ${deadlineMs} ms: ${said}`;
    return new CaptureError("CaptureTimedOut", message, { cause: error });
  }
  const mapped: CaptureErrorCode = code === Status.UNAVAILABLE ? "ApplicationUnreachable" : "CaptureRefused";
  return new CaptureError(mapped, `the application did not capture its state: ${said}`, { cause: error });
}
