import type {
  AgentHello,
  AgentMessage,
  CoordinatorMessage,
  Directory,
  EndSnapshot,
  StartSnapshot,
  Welcome,
} from "@cutline/proto/control";
import { describeError, type Logger } from "@cutline/runtime";
import { status } from "@grpc/grpc-js";
import { Attachment, type AttachmentEnd } from "./attachment.ts";
import { Backoff } from "./backoff.ts";
import { type ControlLimits, controlProtocolVersion } from "./limits.ts";
import { type CoordinatorSecurity, channelCredentials } from "./mesh-credentials.ts";
import type { UploadPart } from "./upload.ts";
import { type Connection, Uploader, type UploadOutcome } from "./uploader.ts";
import { WaitList } from "./wait-list.ts";

export interface ControlEvents {
  /** After every attach. Its running snapshots come by it alone; what was reported before is to be sent again. */
  onWelcome(welcome: Welcome): void;
  /** Also from a welcome that carries one, and then before `onWelcome`. Without one the old directory stays. */
  onDirectory(directory: Directory): void;
  onStart(start: StartSnapshot): void;
  onEnd(end: EndSnapshot): void;
  /** Once for every `onWelcome`, unless the client was stopped. */
  onDetached(reason: string): void;
}

export interface CoordinatorClientOptions {
  /** host:port. */
  readonly address: string;
  /** Mutual TLS. Absent: plain TCP. */
  readonly security?: CoordinatorSecurity;
  /** Asked anew for every attach. */
  readonly hello: () => AgentHello;
  readonly events: ControlEvents;
  readonly limits: ControlLimits;
  readonly logger: Logger;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** Attached to the coordinator for as long as the agent lives: finds it again whenever it is lost. */
export class CoordinatorClient {
  readonly #options: CoordinatorClientOptions;
  readonly #backoff: Backoff;
  readonly #uploader: Uploader;
  readonly #stopping = new AbortController();
  readonly #awaiting = new WaitList<Connection>();
  #running: Promise<void> | undefined;
  #attachment: Attachment | undefined;
  #refusal: string | undefined;
  #failure: string | undefined;
  #leaving = false;

  constructor(options: CoordinatorClientOptions) {
    const { limits, logger } = options;
    this.#options = options;
    this.#backoff = new Backoff(limits);
    this.#uploader = new Uploader(limits, logger, (signal) => this.#connection(signal));
  }

  /** Begins to attach; does not wait for it. */
  start(): void {
    this.#running ??= this.#run();
  }

  get attached(): boolean {
    return this.#attachment?.open === true;
  }

  /** What the coordinator said when it did not take this agent in; it is tried again all the same. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Why it is not attached, where that is known. */
  get failure(): string | undefined {
    return this.#refusal ?? this.#failure;
  }

  /**
   * `sent`: in order behind everything sent before; it is lost when the stream breaks, and the owner repeats it after
   * the next welcome. After `leaving` the client does not attach again.
   */
  send(body: NonNullable<AgentMessage["body"]>): "sent" | "detached" {
    const outcome = this.#attachment?.send(body) ?? "detached";
    if (outcome === "sent" && body.$case === "leaving") this.#leaving = true;
    return outcome;
  }

  /** Waits for its turn and for an attachment, and repeats until the part is stored or refused. Never rejects. */
  upload(part: UploadPart, signal: AbortSignal): Promise<UploadOutcome> {
    return this.#uploader.upload(part, AbortSignal.any([signal, this.#stopping.signal]));
  }

  /** What was sent goes out, uploads end `aborted`. Takes `stopTimeoutMs` at most. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#attachment?.finish();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { now, limits } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted && !this.#leaving) {
      const beganAtMs = now();
      const end = await this.#attach();
      if (signal.aborted || this.#leaving) return;
      this.#note(end);
      // A stream that is closed as soon as it is open must not be opened in a hot loop.
      if (end.welcomed && now() - beganAtMs >= limits.retryMaxMs) this.#backoff.reset();
      if (isRefusal(end)) this.#backoff.slow();
      await this.#backoff.pause(signal);
    }
  }

  /** From dialling to the end of the stream. */
  async #attach(): Promise<AttachmentEnd> {
    const { address, hello, limits, security } = this.#options;
    try {
      // Made anew each time: certificates may have been replaced.
      const credentials = channelCredentials(security, limits.handshakeTimeoutMs);
      const attachment = new Attachment({ address, credentials }, hello(), limits, {
        onWelcome: (welcome) => this.#welcomed(attachment, welcome),
        onMessage: (body) => this.#received(body),
      });
      this.#attachment = attachment;
      return await attachment.ended;
    } catch (error) {
      return { code: status.INTERNAL, details: describeError(error), welcomed: false };
    } finally {
      this.#attachment = undefined;
    }
  }

  #welcomed(attachment: Attachment, welcome: Welcome): void {
    const { events, logger, address } = this.#options;
    this.#refusal = undefined;
    this.#failure = undefined;
    logger.info({ address, term: welcome.term, heartbeatMs: welcome.heartbeatMs }, "attached to the coordinator");
    // First the directory: links to processes that are gone must not take part in the snapshots that run.
    if (welcome.directory !== undefined) events.onDirectory(welcome.directory);
    events.onWelcome(welcome);
    if (attachment.open) this.#awaiting.giveToAll(attachment);
  }

  #received(body: NonNullable<CoordinatorMessage["body"]>): void {
    const { events } = this.#options;
    switch (body.$case) {
      case "directory":
        events.onDirectory(body.value);
        return;
      case "start":
        events.onStart(body.value);
        return;
      case "end":
        events.onEnd(body.value);
        return;
      case "welcome":
      case "heartbeat":
        return;
    }
  }

  #note(end: AttachmentEnd): void {
    const { events, logger, address } = this.#options;
    const reason = `${status[end.code]}: ${end.details}`;
    if (end.welcomed) {
      this.#failure = reason;
      logger.warn({ address, reason }, "the coordinator is lost");
      events.onDetached(reason);
      return;
    }
    if (isRefusal(end)) {
      if (this.#refusal !== end.details) {
        logger.error(
          { address, protocolVersion: controlProtocolVersion, reason },
          "the coordinator refused this agent",
        );
      }
      this.#refusal = end.details;
      return;
    }
    // The same failure over and over is said once.
    if (this.#failure === undefined) logger.warn({ address, reason }, "the coordinator cannot be reached");
    else logger.debug({ address, reason }, "the coordinator cannot be reached");
    this.#failure = reason;
  }

  async #connection(signal: AbortSignal): Promise<Connection | undefined> {
    const attachment = this.#attachment;
    return attachment?.open === true ? attachment : await this.#awaiting.wait(signal);
  }
}

const refusals: ReadonlySet<status> = new Set([
  status.FAILED_PRECONDITION,
  status.INVALID_ARGUMENT,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

/** Not to be mended by trying again soon: somebody must upgrade or set something. */
function isRefusal({ code, welcomed }: AttachmentEnd): boolean {
  return !welcomed && refusals.has(code);
}
