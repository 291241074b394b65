import { IdTable } from "@cutline/runtime";
import { ConnectionError, ErrorCode } from "../errors.ts";
import { streamIdMax } from "../frames/constants.ts";
import { ForgottenStreams } from "./forgotten-streams.ts";
import { connectionLimits } from "./limits.ts";
import type { Stream } from "./stream.ts";

/** Which streams a connection has and has had (RFC 9113, section 5.1). */
export class StreamTable {
  readonly #side: "server" | "client";
  readonly #open = new IdTable<Stream>();
  /** Streams that we reset, and from which more may come. */
  readonly #forgotten = new ForgottenStreams(connectionLimits.forgottenStreamsMax);
  #lastOfPeer = 0;
  /** The lowest number that the peer has left out; streams below it have been open. */
  #firstSkipped = Number.POSITIVE_INFINITY;
  #next = 1;

  constructor(side: "server" | "client") {
    this.#side = side;
  }

  get size(): number {
    return this.#open.size;
  }

  get(streamId: number): Stream | undefined {
    return this.#open.get(streamId);
  }

  add(streamId: number, stream: Stream): void {
    this.#open.set(streamId, stream);
  }

  delete(streamId: number): boolean {
    return this.#open.delete(streamId);
  }

  /** A copy. */
  values(): Stream[] {
    return this.#open.values();
  }

  /** The highest number that the peer has opened a stream with; 0: none. */
  get lastOfPeer(): number {
    return this.#lastOfPeer;
  }

  /** Client side: whether there are numbers left. */
  get hasNumber(): boolean {
    return this.#next <= streamIdMax;
  }

  /** Client side: the number of the next stream. */
  takeNumber(): number {
    const id = this.#next;
    this.#next += 2;
    return id;
  }

  /** Server side: the peer opens a stream. */
  noteOpened(streamId: number): void {
    if (streamId > Math.max(this.#lastOfPeer + 2, 1) && this.#firstSkipped > streamId) {
      this.#firstSkipped = this.#lastOfPeer + 1;
    }
    this.#lastOfPeer = streamId;
  }

  /** We have reset the stream, or will not hear of it. */
  forget(streamId: number): void {
    this.#forgotten.add(streamId);
  }

  isForgotten(streamId: number): boolean {
    return this.#forgotten.has(streamId);
  }

  /** Whether nobody has opened the stream yet. */
  isIdle(streamId: number): boolean {
    const isPeers = streamId % 2 === (this.#side === "server" ? 1 : 0);
    return isPeers ? streamId > this.#lastOfPeer : streamId >= this.#next || this.#side === "server";
  }

  /**
   * What HEADERS on a stream mean that is not open: they open it, or come late. Throws {@link ConnectionError} where they
   * can be neither.
   */
  headersOf(streamId: number): "opens" | "late" {
    if (this.#side === "server" && streamId > this.#lastOfPeer && streamId % 2 === 1) return "opens";
    if (this.#forgotten.has(streamId)) return "late";
    if (streamId < this.#firstSkipped && !this.isIdle(streamId)) {
      throw new ConnectionError(ErrorCode.streamClosed, `HEADERS stands on stream ${streamId}, which has closed`);
    }
    // RFC 9113, section 5.1.1: a new stream has a higher number than all before.
    throw new ConnectionError(ErrorCode.protocolError, `HEADERS stands on stream ${streamId}, which cannot be opened`);
  }

  /** Throws {@link ConnectionError} when nobody has opened the stream that `what` stands on. */
  checkNotIdle(what: string, streamId: number): void {
    if (!this.isIdle(streamId)) return;
    throw new ConnectionError(ErrorCode.protocolError, `${what} stands on stream ${streamId}, which nobody has opened`);
  }
}
