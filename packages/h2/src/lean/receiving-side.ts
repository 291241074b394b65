import type { Duplex } from "node:stream";
import { ConnectionError, ErrorCode } from "../errors.ts";
import { defaultWindowBytes, windowBytesMax } from "../frames/constants.ts";
import type { HeldBytes } from "../held-bytes.ts";
import { type DecodedBlock, HpackDecoder } from "../hpack/decoder.ts";
import type { CallEvents, HeaderList, Http2Limits } from "../port.ts";
import { blockFault, declaredLength } from "./header-rules.ts";
import { HeldShare } from "./held-share.ts";
import { connectionLimits } from "./limits.ts";
import { Patience } from "./patience.ts";
import type { SettingsTarget } from "./peer-settings.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { SendingSide } from "./sending-side.ts";
import { Stream } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

const hpackTableBytes = 4096;

/** What frames of a peer mean for the streams of one connection (RFC 9113, sections 5 and 6). */
export abstract class ReceivingSide extends SendingSide implements SettingsTarget {
  readonly streamWindowBytes: number;
  /** What the peer may send on a stream that begins now. */
  newStreamWindowBytes: number;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  peerStreamsMax = Number.POSITIVE_INFINITY;
  protected readonly side: "server" | "client";
  protected readonly limits: Http2Limits;
  protected readonly table: StreamTable;
  protected readonly patience: Patience;
  protected readonly held: HeldShare;
  readonly #decoder: HpackDecoder;
  readonly #window: ReceiveWindow;
  /** Of the DATA frame that comes. */
  #current: Stream | undefined;

  constructor(side: "server" | "client", socket: Duplex, limits: Http2Limits, held: HeldBytes) {
    super(socket);
    this.side = side;
    this.limits = limits;
    this.streamWindowBytes = limits.streamWindowBytes;
    // Until the peer knows ours, it goes by the default (RFC 9113, section 6.5.3).
    this.newStreamWindowBytes = Math.max(limits.streamWindowBytes, defaultWindowBytes);
    this.table = new StreamTable(side);
    this.patience = new Patience(limits.concurrentStreamsMax);
    this.held = new HeldShare(held);
    this.#decoder = new HpackDecoder(hpackTableBytes, limits.headerListBytesMax);
    this.#window = new ReceiveWindow(limits.connectionWindowBytes, this.greet(side, limits));
  }

  /** The stream is over. */
  abstract forget(stream: Stream): void;

  /** Server side: what becomes of a stream that the peer opens. `pass`: it is tried elsewhere, and not a word is said. */
  protected abstract get admission(): "serve" | "refuse" | "pass";

  /** Server side: the stream has begun. */
  protected abstract begun(stream: Stream, headers: HeaderList, endStream: boolean): CallEvents;

  sendReset(stream: Stream, code: number): void {
    this.resetStream(stream.id, code);
  }

  /** Bytes that paused streams hold. */
  noteHeld(bytes: number): void {
    this.held.addUnread(bytes);
    if (bytes < 0) this.#openWindow();
  }

  /** Bytes that streams hold because they may not be sent yet. */
  noteUnsent(bytes: number): void {
    this.held.addUnsent(bytes);
  }

  onDataFrame(streamId: number, frameBytes: number, dataBytes: number): void {
    this.#window.take(frameBytes);
    this.#openWindow();
    const stream = this.table.get(streamId);
    this.#current = undefined;
    if (stream === undefined) {
      this.#frameOfNoStream(streamId);
      return;
    }
    switch (stream.dataFrame(frameBytes)) {
      case "ok":
        this.#current = stream;
        if (frameBytes > dataBytes) stream.padding(frameBytes - dataBytes);
        break;
      case "ended":
        this.#resetFault(stream, ErrorCode.streamClosed);
        break;
      case "flowControl":
        this.#resetFault(stream, ErrorCode.flowControlError);
    }
  }

  onData(_streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void {
    if (start === end && !endStream) this.onIdleFrame();
    const stream = this.#current;
    if (stream === undefined || stream.isOver) return;
    if (stream.data(source, start, end, endStream) === "malformed") this.#resetFault(stream, ErrorCode.protocolError);
  }

  onHeaders(streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void {
    // Whatever becomes of it, the block must be decoded: it may change the table.
    const block = this.#decoder.decode(source, start, end);
    const stream = this.table.get(streamId);
    if (stream !== undefined) this.#headersOf(stream, block, endStream);
    else if (this.table.headersOf(streamId) === "opens") this.#opened(streamId, block, endStream);
  }

  onReset(streamId: number, code: number): void {
    const stream = this.table.get(streamId);
    if (stream === undefined) {
      // What we have reset may still be sent on, even behind the peer's own reset: some servers answer twice.
      this.table.checkNotIdle("RST_STREAM", streamId);
      return;
    }
    if (this.side === "server" && !stream.hasBegun) this.patience.reset();
    stream.died(code, "peer");
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.widen(increment);
      return;
    }
    const stream = this.table.get(streamId);
    if (stream === undefined) {
      this.table.checkNotIdle("WINDOW_UPDATE", streamId);
      return;
    }
    if (increment === 0) {
      this.#resetFault(stream, ErrorCode.protocolError);
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > windowBytesMax) this.#resetFault(stream, ErrorCode.flowControlError);
    else if (!stream.isBlocked) stream.pump(this);
  }

  onIdleFrame(): void {
    this.patience.idleFrame();
  }

  onBadFrame(streamId: number): void {
    const stream = this.table.get(streamId);
    if (stream !== undefined) this.#resetFault(stream, ErrorCode.frameSizeError);
    else this.onIdleFrame();
  }

  // What the peer's SETTINGS change

  limitTable(bytes: number): void {
    this.encoder.limitTable(bytes);
  }

  limitStreams(streams: number): void {
    this.peerStreamsMax = streams;
  }

  changeStreamWindows(bytes: number): void {
    const change = bytes - this.peerStreamWindowBytes;
    this.peerStreamWindowBytes = bytes;
    for (const stream of this.table.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > windowBytesMax) {
        throw new ConnectionError(ErrorCode.flowControlError, "a stream's window exceeds 2^31 - 1");
      }
      if (change > 0 && !stream.isBlocked) stream.pump(this);
    }
  }

  // Inside

  #opened(streamId: number, block: DecodedBlock, endStream: boolean): void {
    this.table.noteOpened(streamId);
    const { admission } = this;
    if (admission === "pass") {
      this.table.forget(streamId);
      return;
    }
    if (admission === "refuse" || this.table.size >= this.limits.concurrentStreamsMax) {
      this.patience.fault();
      this.resetStream(streamId, ErrorCode.refusedStream);
      return;
    }
    if (block.size === "tooLarge") {
      this.patience.fault();
      this.resetStream(streamId, ErrorCode.enhanceYourCalm);
      return;
    }
    const declaredBytes = declaredLength(block);
    if (blockFault(block, "request") !== null || declaredBytes === "wrong" || (endStream && declaredBytes > 0)) {
      this.patience.fault();
      this.resetStream(streamId, ErrorCode.protocolError);
      return;
    }
    const stream = Stream.accepted(this, streamId, endStream, declaredBytes);
    this.table.add(streamId, stream);
    stream.listen(this.begun(stream, block.headers, endStream));
  }

  #headersOf(stream: Stream, block: DecodedBlock, endStream: boolean): void {
    if (block.size === "tooLarge") {
      this.#resetFault(stream, ErrorCode.enhanceYourCalm);
      return;
    }
    const fault = blockFault(block, stream.expectsTrailers ? "trailers" : "answer");
    const outcome = fault === null ? stream.headers(block.headers, endStream, declaredLength(block)) : "malformed";
    if (outcome === "malformed") this.#resetFault(stream, ErrorCode.protocolError);
    else if (outcome === "ended") this.#resetFault(stream, ErrorCode.streamClosed);
  }

  /** DATA for a stream that is not open. */
  #frameOfNoStream(streamId: number): void {
    if (this.table.isForgotten(streamId)) return;
    this.table.checkNotIdle("a frame", streamId);
    // It was closed in order, and the peer goes on (RFC 9113, section 5.1).
    this.patience.fault();
    this.resetStream(streamId, ErrorCode.streamClosed);
  }

  protected answeredInFull(): void {
    if (this.side === "server") this.patience.answeredInFull();
  }

  protected pump(stream: Stream): void {
    stream.pump(this);
  }

  #resetFault(stream: Stream, code: number): void {
    this.patience.fault();
    this.resetStream(stream.id, code);
    this.#current = undefined;
    stream.died(code, "peer");
  }

  protected resetStream(streamId: number, code: number): void {
    this.sendRstStream(streamId, code);
    this.table.forget(streamId);
  }

  #openWindow(): void {
    if (this.#window.isDue && this.held.unreadBytes <= connectionLimits.heldBytesMax) {
      this.sendWindowUpdate(0, this.#window.open());
    }
  }
}
