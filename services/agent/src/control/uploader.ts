import type { ControlClient } from "@cutline/proto/control";
import type { Logger } from "@cutline/runtime";
import { status } from "@grpc/grpc-js";
import { Backoff } from "./backoff.ts";
import type { ControlLimits } from "./limits.ts";
import { type SendOutcome, sendPart, type UploadPart } from "./upload.ts";
import { WaitList } from "./wait-list.ts";

type UploadFailureCode =
  /** The attempt is over, or the process is outside of the scope. */
  | "NotWanted"
  /** A limit of the coordinator or of its store. */
  | "ResourceExhausted"
  | "Rejected"
  | "AttemptsExhausted"
  | "Unreadable"
  | "TooManyUploads";

export type UploadOutcome =
  | { readonly outcome: "stored"; readonly sizeBytes: number; readonly sha256: string }
  | { readonly outcome: "givenUp"; readonly code: UploadFailureCode; readonly message: string }
  /** Its signal aborted, or the client was stopped. */
  | { readonly outcome: "aborted" };

/** A connection to the coordinator that leads. */
export interface Connection {
  readonly rpc: ControlClient;
  /** Aborts when the connection is over. */
  readonly over: AbortSignal;
}

const repeatable: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.ABORTED, status.DEADLINE_EXCEEDED]);

const refusals: ReadonlyMap<status, UploadFailureCode> = new Map([
  [status.FAILED_PRECONDITION, "NotWanted"],
  [status.NOT_FOUND, "NotWanted"],
  [status.RESOURCE_EXHAUSTED, "ResourceExhausted"],
  [status.INVALID_ARGUMENT, "Rejected"],
]);

/** Uploads parts, a few at a time, and repeats what may be repeated. */
export class Uploader {
  readonly #limits: ControlLimits;
  readonly #logger: Logger;
  readonly #connection: (signal: AbortSignal) => Promise<Connection | undefined>;
  readonly #turns = new WaitList<"turn">();
  #free: number;
  #unended = 0;

  /** `connection` waits until there is one; `undefined`: the signal aborted first. */
  constructor(
    limits: ControlLimits,
    logger: Logger,
    connection: (signal: AbortSignal) => Promise<Connection | undefined>,
  ) {
    this.#limits = limits;
    this.#logger = logger;
    this.#connection = connection;
    this.#free = limits.uploadsMax;
  }

  /** Never rejects. */
  async upload(part: UploadPart, signal: AbortSignal): Promise<UploadOutcome> {
    const { uploadsWaitingMax } = this.#limits;
    if (this.#unended >= uploadsWaitingMax) {
      const message = `this agent has ${uploadsWaitingMax} uploads that have not ended`;
      return { outcome: "givenUp", code: "TooManyUploads", message };
    }
    this.#unended += 1;
    try {
      return await this.#repeat(part, signal);
    } finally {
      this.#unended -= 1;
    }
  }

  async #repeat(part: UploadPart, signal: AbortSignal): Promise<UploadOutcome> {
    const backoff = new Backoff(this.#limits);
    let unexpected = 0;
    while (!signal.aborted) {
      const sent = await this.#try(part, signal);
      if (sent === undefined || signal.aborted) break;
      if (sent.outcome === "stored") return sent;
      if (sent.outcome === "unreadable") return { outcome: "givenUp", code: "Unreadable", message: sent.message };
      const { message } = sent;
      if (!sent.connectionLost) {
        const refusal = refusals.get(sent.code);
        if (refusal !== undefined) return { outcome: "givenUp", code: refusal, message };
        if (!repeatable.has(sent.code)) unexpected += 1;
        if (unexpected >= this.#limits.uploadAttemptsMax) {
          return { outcome: "givenUp", code: "AttemptsExhausted", message: `${unexpected} tries failed: ${message}` };
        }
      }
      const { ref, kind, channelId } = part.header;
      this.#logger.debug({ ...ref, kind, channelId, code: status[sent.code], reason: message }, "upload is repeated");
      await backoff.pause(signal);
    }
    return { outcome: "aborted" };
  }

  /** `undefined`: aborted before it began. */
  async #try(part: UploadPart, signal: AbortSignal): Promise<TryOutcome | undefined> {
    if (this.#free > 0) this.#free -= 1;
    else if ((await this.#turns.wait(signal)) === undefined) return undefined;
    try {
      const connection = await this.#connection(signal);
      if (connection === undefined) return undefined;
      const cancel = AbortSignal.any([signal, connection.over]);
      const sent = await sendPart(connection.rpc, part, cancel, this.#limits.uploadStallMs);
      // What a coordinator says that stops leading says nothing about the part.
      return sent.outcome === "failed" ? { ...sent, connectionLost: connection.over.aborted } : sent;
    } finally {
      if (this.#turns.giveToFirst("turn") === "nobodyWaits") this.#free += 1;
    }
  }
}

type TryOutcome =
  | Exclude<SendOutcome, { outcome: "failed" }>
  | (Extract<SendOutcome, { outcome: "failed" }> & { readonly connectionLost: boolean });
