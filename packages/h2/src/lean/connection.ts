import type { Duplex } from "node:stream";
import { IdTable } from "@cutline/runtime";
import { ConnectionError, ErrorCode } from "../errors.ts";
import {
  defaultMaxFrameBytes,
  defaultWindowBytes,
  FrameType,
  Setting,
  streamIdMax,
  windowBytesMax,
} from "../frames/constants.ts";
import { FrameReader, type FrameSink } from "../frames/reader.ts";
import { type DecodedBlock, HpackDecoder } from "../hpack/decoder.ts";
import { type CallEvents, type HeaderList, type Http2Limits, ResetCode } from "../port.ts";
import { Budget } from "./budget.ts";
import { ForgottenStreams } from "./forgotten-streams.ts";
import { answerFault, declaredLength, requestFault, trailersFault } from "./header-rules.ts";
import { connectionLimits } from "./limits.ts";
import { SendingSide } from "./sending-side.ts";
import { Stream } from "./stream.ts";

export interface ConnectionEvents {
  /** Server side: the peer has opened a stream. */
  onStream(stream: Stream, headers: HeaderList, endStream: boolean): CallEvents;
  /** The peer's first SETTINGS are there. */
  onReady(): void;
  /** Client side: there may be room for another stream, or never again. */
  onRoomChanged(): void;
  /** The connection has gone; all streams have been told. `reason`: why, unless it was an orderly end. */
  onClosed(reason: string | undefined): void;
}

const hpackTableBytes = 4096;

/** One HTTP/2 connection (RFC 9113), of either side, on a socket that is connected. */
export class Connection extends SendingSide implements FrameSink {
  /** `draining`: no new streams. */
  phase: "opening" | "open" | "draining" | "closed" = "opening";
  readonly streamWindowBytes: number;
  /** What the peer may send on a stream that begins now. */
  newStreamWindowBytes: number;
  /** The error code that the peer was told when it had broken a rule. */
  fault: number | undefined;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  peerStreamsMax = Number.POSITIVE_INFINITY;
  readonly #side: "server" | "client";
  readonly #socket: Duplex;
  readonly #events: ConnectionEvents;
  readonly #limits: Http2Limits;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #streams = new IdTable<Stream>();
  /** Streams that we reset, and from which more may come. */
  readonly #forgotten = new ForgottenStreams(connectionLimits.forgottenStreamsMax);
  #receiveWindow: number;
  #receivedBytes = 0;
  #heldBytes = 0;
  #lastPeerStream = 0;
  /** The lowest number that the peer has left out; streams below it have been open. */
  #firstSkipped = Number.POSITIVE_INFINITY;
  #nextStream = 1;
  #current: Stream | undefined;
  #blockTimer: NodeJS.Timeout | undefined;
  #farewell: string | undefined;
  #farewellOfPeer: string | undefined;
  /** GOAWAY with the last stream that is served has been sent. */
  #saidLast = false;
  readonly #resets: Budget;
  readonly #faults = new Budget(connectionLimits.faultsBurst, connectionLimits.faultsPerSecond);
  readonly #idleFrames = new Budget(connectionLimits.idleFramesBurst, connectionLimits.idleFramesPerSecond);
  readonly #settingsFrames = new Budget(connectionLimits.settingsBurst, connectionLimits.settingsPerSecond);

  constructor(side: "server" | "client", socket: Duplex, limits: Http2Limits, events: ConnectionEvents) {
    super(socket);
    this.#side = side;
    this.#socket = socket;
    this.#limits = limits;
    this.#events = events;
    this.streamWindowBytes = limits.streamWindowBytes;
    // Until the peer knows ours, it goes by the default (RFC 9113, section 6.5.3).
    this.newStreamWindowBytes = Math.max(limits.streamWindowBytes, defaultWindowBytes);
    // All calls that are open may be cancelled at once.
    const resetsBurst = connectionLimits.resetsBurst + limits.concurrentStreamsMax;
    this.#resets = new Budget(resetsBurst, connectionLimits.resetsPerSecond);
    // Encoded, a list may be a little longer than its own measure only in theory; what is longer is too large.
    this.#reader = new FrameReader(side, limits.headerListBytesMax + defaultMaxFrameBytes, this);
    this.#decoder = new HpackDecoder(hpackTableBytes, limits.headerListBytesMax);
    this.#receiveWindow = this.greet(side, limits);
    socket.on("data", this.#onBytes);
    socket.on("error", (error: Error) => {
      this.#farewell ??= error.message;
    });
    socket.on("end", () => this.#onSocketEnd());
    socket.on("close", () => this.#closed());
    socket.resume();
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** A copy. */
  get streams(): Stream[] {
    return this.#streams.values();
  }

  /** Client side. */
  get hasRoom(): boolean {
    return this.phase === "open" && this.#streams.size < this.peerStreamsMax && this.#nextStream <= streamIdMax;
  }

  /** Client side: opens a stream that waited. */
  open(stream: Stream): void {
    const id = this.#nextStream;
    this.#nextStream += 2;
    this.#streams.set(id, stream);
    stream.start(this, id);
  }

  /** Resolves when the peer has answered; at once when the connection is gone. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      if (this.phase === "closed" || this.#farewell !== undefined) {
        resolve();
        return;
      }
      this.sendPing(resolve);
    });
  }

  /** No new streams; ends when those that are open have ended. */
  close(): void {
    if (this.phase === "draining" || this.phase === "closed") return;
    if (this.phase === "opening" && this.#streams.size === 0) {
      this.destroy(undefined);
      return;
    }
    this.phase = "draining";
    if (this.#side === "client") this.sendGoaway(0, ErrorCode.noError, "");
    else {
      // What the peer opens before it hears of it is still served (RFC 9113, section 6.8).
      this.sendGoaway(streamIdMax, ErrorCode.noError, "");
      this.ping().then(() => {
        if (this.phase === "closed") return;
        this.sendGoaway(this.#lastPeerStream, ErrorCode.noError, "");
        this.#saidLast = true;
        this.#endIfDone();
      });
    }
    this.#endIfDone();
  }

  destroy(reason: string | undefined): void {
    this.#farewell ??= reason;
    this.#socket.destroy();
  }

  // For streams

  sendReset(stream: Stream, code: number): void {
    this.#sendReset(stream.id, code);
  }

  /** Bytes that paused streams hold. */
  noteHeld(bytes: number): void {
    this.#heldBytes += bytes;
    if (bytes < 0) this.#openWindow();
  }

  /** The stream is over. */
  forget(stream: Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.unblock(stream);
    if (this.phase === "draining") this.#endIfDone();
    if (this.#side === "client") this.#events.onRoomChanged();
  }

  // What the peer sends

  readonly #onBytes = (chunk: Buffer): void => {
    if (this.#farewell !== undefined) return;
    try {
      this.#reader.feed(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#reader.insideHeaders) {
      this.#blockTimer ??= setTimeout(() => {
        this.#fail(new ConnectionError(ErrorCode.enhanceYourCalm, "a header block does not come to its end"));
      }, connectionLimits.headerBlockTimeoutMs);
    } else if (this.#blockTimer !== undefined) {
      clearTimeout(this.#blockTimer);
      this.#blockTimer = undefined;
    }
  };

  onDataFrame(streamId: number, frameBytes: number, dataBytes: number): void {
    this.#receiveWindow -= frameBytes;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(ErrorCode.flowControlError, "the peer exceeded the connection's window");
    }
    this.#receivedBytes += frameBytes;
    this.#openWindow();
    const stream = this.#streams.get(streamId);
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
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#headersOf(stream, block, endStream);
    else if (this.#side === "server" && streamId > this.#lastPeerStream && streamId % 2 === 1) {
      this.#opened(streamId, block, endStream);
    } else if (streamId < this.#firstSkipped && !this.#isIdle(streamId)) {
      if (this.#forgotten.has(streamId)) return;
      throw new ConnectionError(ErrorCode.streamClosed, `HEADERS stands on stream ${streamId}, which has closed`);
    } else if (!this.#forgotten.has(streamId)) {
      // RFC 9113, section 5.1.1: a new stream has a higher number than all before.
      throw new ConnectionError(
        ErrorCode.protocolError,
        `HEADERS stands on stream ${streamId}, which cannot be opened`,
      );
    }
  }

  onReset(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      // What we have reset may still be sent on, even behind the peer's own reset: some servers answer twice.
      if (this.#isIdle(streamId)) throw idleStreamError("RST_STREAM", streamId);
      return;
    }
    if (this.#side === "server" && !stream.hasBegun && this.#resets.spend() === "exceeded") {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer resets too many streams");
    }
    stream.died(code, "peer");
  }

  onSettings(isAck: boolean, source: Buffer, start: number, end: number): void {
    if (isAck) {
      this.newStreamWindowBytes = this.streamWindowBytes;
      return;
    }
    if (end - start > connectionLimits.settingsInFrameMax * 6) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer changes too many settings at once");
    }
    const isFirst = this.phase === "opening";
    if (!isFirst && this.#settingsFrames.spend() === "exceeded") {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer changes its settings too often");
    }
    for (let at = start; at < end; at += 6) this.#setting(source.readUInt16BE(at), source.readUInt32BE(at + 2));
    this.sendAnswer(FrameType.settings);
    if (isFirst) {
      this.phase = "open";
      this.#events.onReady();
    } else if (this.#side === "client") this.#events.onRoomChanged();
  }

  onPing(isAck: boolean, source: Buffer, start: number): void {
    if (isAck) {
      this.pingAnswered(source, start);
      return;
    }
    this.sendAnswer(FrameType.ping, source.subarray(start, start + 8));
  }

  onGoaway(lastStreamId: number, code: number, debug: string): void {
    if (this.phase === "opening") this.phase = "open";
    if (this.phase === "open") this.phase = "draining";
    if (code !== ErrorCode.noError)
      this.#farewellOfPeer = `the peer closed the connection: code ${code} ${debug}`.trimEnd();
    if (this.#side === "client") {
      for (const stream of this.#streams.values()) {
        if (stream.id > lastStreamId) stream.died(ResetCode.refused, "peer");
      }
      this.#events.onRoomChanged();
    }
    this.#endIfDone();
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.widen(increment);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) throw idleStreamError("WINDOW_UPDATE", streamId);
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
    if (this.#idleFrames.spend() === "ok") return;
    throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer sends too many frames that say nothing");
  }

  onBadFrame(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#resetFault(stream, ErrorCode.frameSizeError);
    else this.onIdleFrame();
  }

  // Inside

  #opened(streamId: number, block: DecodedBlock, endStream: boolean): void {
    if (streamId > Math.max(this.#lastPeerStream + 2, 1) && this.#firstSkipped > streamId) {
      this.#firstSkipped = this.#lastPeerStream + 1;
    }
    this.#lastPeerStream = streamId;
    if (this.#saidLast) {
      // Above the last stream that GOAWAY has named: the peer tries it elsewhere (RFC 9113, section 6.8).
      this.#forgotten.add(streamId);
      return;
    }
    // Who does not read answers gets no more of them: those that are short wait for no window.
    const isUnread = this.#socket.writableLength > connectionLimits.unreadBytesMax;
    if (isUnread || this.#streams.size >= this.#limits.concurrentStreamsMax) {
      this.#spendFault();
      this.#sendReset(streamId, ErrorCode.refusedStream);
      return;
    }
    if (block.size === "tooLarge") {
      this.#spendFault();
      this.#sendReset(streamId, ErrorCode.enhanceYourCalm);
      return;
    }
    if (block.requestFault === undefined) block.requestFault = requestFault(block.headers);
    const declaredBytes = declaredLength(block);
    if (block.requestFault !== null || declaredBytes === "wrong" || (endStream && declaredBytes > 0)) {
      this.#spendFault();
      this.#sendReset(streamId, ErrorCode.protocolError);
      return;
    }
    const stream = Stream.accepted(this, streamId, endStream, declaredBytes);
    this.#streams.set(streamId, stream);
    stream.listen(this.#events.onStream(stream, block.headers, endStream));
  }

  #headersOf(stream: Stream, block: DecodedBlock, endStream: boolean): void {
    if (block.size === "tooLarge") {
      this.#resetFault(stream, ErrorCode.enhanceYourCalm);
      return;
    }
    let fault: string | null;
    if (stream.expectsTrailers) {
      if (block.trailersFault === undefined) block.trailersFault = trailersFault(block.headers);
      fault = block.trailersFault;
    } else {
      if (block.answerFault === undefined) block.answerFault = answerFault(block.headers);
      fault = block.answerFault;
    }
    const outcome = fault === null ? stream.headers(block.headers, endStream, declaredLength(block)) : "malformed";
    if (outcome === "malformed") this.#resetFault(stream, ErrorCode.protocolError);
    else if (outcome === "ended") this.#resetFault(stream, ErrorCode.streamClosed);
  }

  #setting(id: number, value: number): void {
    switch (id) {
      case Setting.headerTableSize:
        this.encoder.limitTable(value);
        return;
      case Setting.enablePush:
        if (value > 1 || (value === 1 && this.#side === "client")) {
          throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_ENABLE_PUSH is ${value}`);
        }
        return;
      case Setting.maxConcurrentStreams:
        this.peerStreamsMax = value;
        return;
      case Setting.initialWindowSize:
        this.#changeStreamWindows(value);
        return;
      case Setting.maxFrameSize:
        if (value < defaultMaxFrameBytes || value > 0xff_ffff) {
          throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_MAX_FRAME_SIZE is ${value}`);
        }
        // Larger frames would only make others wait.
        return;
    }
  }

  #changeStreamWindows(bytes: number): void {
    if (bytes > windowBytesMax) {
      throw new ConnectionError(ErrorCode.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE is ${bytes}`);
    }
    const change = bytes - this.peerStreamWindowBytes;
    this.peerStreamWindowBytes = bytes;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > windowBytesMax) {
        throw new ConnectionError(ErrorCode.flowControlError, "a stream's window exceeds 2^31 - 1");
      }
      if (change > 0 && !stream.isBlocked) stream.pump(this);
    }
  }

  #isIdle(streamId: number): boolean {
    const isPeers = streamId % 2 === (this.#side === "server" ? 1 : 0);
    return isPeers ? streamId > this.#lastPeerStream : streamId >= this.#nextStream || this.#side === "server";
  }

  /** DATA for a stream that is not open. */
  #frameOfNoStream(streamId: number): void {
    if (this.#forgotten.has(streamId)) return;
    if (this.#isIdle(streamId)) throw idleStreamError("a frame", streamId);
    // It was closed in order, and the peer goes on (RFC 9113, section 5.1).
    this.#spendFault();
    this.#sendReset(streamId, ErrorCode.streamClosed);
  }

  /** For each call that is answered in full another may be reset: hedging cancels every second one. */
  protected answeredInFull(): void {
    if (this.#side === "server") this.#resets.earn();
  }

  protected pump(stream: Stream): void {
    stream.pump(this);
  }

  #resetFault(stream: Stream, code: number): void {
    this.#spendFault();
    this.#sendReset(stream.id, code);
    this.#current = undefined;
    stream.died(code, "peer");
  }

  #spendFault(): void {
    if (this.#faults.spend() === "ok") return;
    throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer makes us reset too many streams");
  }

  #sendReset(streamId: number, code: number): void {
    this.sendRstStream(streamId, code);
    this.#forgotten.add(streamId);
  }

  #openWindow(): void {
    if (this.#receivedBytes * 2 < this.#limits.connectionWindowBytes) return;
    if (this.#heldBytes > connectionLimits.heldBytesMax) return;
    this.#receiveWindow += this.#receivedBytes;
    this.sendWindowUpdate(0, this.#receivedBytes);
    this.#receivedBytes = 0;
  }

  #fail(error: unknown): void {
    if (this.#farewell !== undefined) return;
    const code = error instanceof ConnectionError ? error.errorCode : ErrorCode.internalError;
    const reason = error instanceof Error ? error.message : String(error);
    this.#farewell = reason;
    if (error instanceof ConnectionError) this.fault = code;
    if (this.phase === "open") this.phase = "draining";
    this.sendGoaway(this.#lastPeerStream, code, error instanceof ConnectionError ? reason : "");
    this.output.flush();
    this.#end();
    this.#dropStreams();
  }

  #end(): void {
    const socket = this.#socket;
    if (socket.writableEnded || socket.destroyed) return;
    socket.end();
    const timer = setTimeout(() => socket.destroy(), connectionLimits.farewellTimeoutMs);
    socket.once("close", () => clearTimeout(timer));
  }

  #endIfDone(): void {
    if (this.phase !== "draining" || this.#streams.size > 0 || this.waitsForPing) return;
    this.output.flush();
    this.#end();
  }

  /** The peer sends nothing more; answers would have nobody to go to. */
  #onSocketEnd(): void {
    if (this.phase === "open") this.phase = "draining";
    this.#farewell ??= this.#streams.size === 0 ? undefined : "the peer closed the connection";
    this.output.flush();
    this.#end();
    this.#dropStreams();
  }

  #dropStreams(): void {
    for (const stream of this.#streams.values()) stream.died(ErrorCode.cancel, "connection");
  }

  #closed(): void {
    if (this.phase === "closed") return;
    this.phase = "closed";
    clearTimeout(this.#blockTimer);
    this.#dropStreams();
    this.dropPings();
    this.#events.onClosed(this.#farewellOfPeer ?? this.#farewell);
  }
}

function idleStreamError(what: string, streamId: number): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, `${what} stands on stream ${streamId}, which nobody has opened`);
}
