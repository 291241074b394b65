import type { Duplex } from "node:stream";
import { ConnectionError, ErrorCode } from "../errors.ts";
import {
  defaultMaxFrameBytes,
  defaultWindowBytes,
  Flag,
  FrameType,
  preface,
  Setting,
  windowBytesMax,
} from "../frames/constants.ts";
import { Output } from "../frames/output.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import type { HeaderList, Http2Limits } from "../port.ts";
import { connectionLimits } from "./limits.ts";
import type { Stream } from "./stream.ts";

/** What one connection sends: frames, flow control towards the peer (RFC 9113, section 5.2), and who waits for it. */
export abstract class SendingSide {
  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  peerStreamWindowBytes = defaultWindowBytes;
  protected readonly output: Output;
  protected readonly encoder = new HpackEncoder();
  /** Streams that have something to send and wait for the connection. */
  readonly #blocked = new Set<Stream>();
  #sendWindow = defaultWindowBytes;
  #pings: (() => void)[] = [];
  #pingsAnswered = 0;
  #waitingAnswers = 0;

  constructor(socket: Duplex) {
    this.output = new Output(socket, this.#afterFlush);
    socket.on("drain", this.#onSocketDrain);
  }

  sendHeaders(stream: Stream, headers: HeaderList, endStream: boolean): void {
    this.output.headers(stream.id, this.encoder.encode(headers), endStream);
    if (endStream) this.answeredInFull();
  }

  /** Sends the whole of `bytes` in one frame, if that can be done now. */
  trySend(stream: Stream, bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (
      length > this.#sendWindow ||
      length > stream.sendWindow ||
      length > defaultMaxFrameBytes ||
      this.output.isBacklogged ||
      this.output.bytes > connectionLimits.turnBytesMax
    ) {
      return false;
    }
    this.sendData(stream, bytes);
    return true;
  }

  /** How much of `bytes` may be sent in the next frame. 0: the stream is called again when that has changed. */
  sendable(stream: Stream, bytes: number): number {
    const most = Math.min(bytes, defaultMaxFrameBytes, stream.sendWindow);
    if (most <= 0) return 0;
    if (this.#sendWindow > 0 && !this.output.isBacklogged && this.output.bytes <= connectionLimits.turnBytesMax) {
      return Math.min(most, this.#sendWindow);
    }
    this.block(stream);
    return 0;
  }

  /** The stream has something to send, and is called when the connection takes more. */
  block(stream: Stream): void {
    stream.isBlocked = true;
    this.#blocked.add(stream);
  }

  get othersWait(): boolean {
    return this.#blocked.size > 0;
  }

  sendData(stream: Stream, bytes: Uint8Array): void {
    this.#sendWindow -= bytes.length;
    stream.sendWindow -= bytes.length;
    this.output.data(stream.id, bytes, false);
  }

  sendEnd(stream: Stream): void {
    this.output.endData(stream.id);
    this.answeredInFull();
  }

  sendWindowUpdate(streamId: number, bytes: number): void {
    this.output.head(4, FrameType.windowUpdate, 0, streamId);
    this.output.uint32(bytes);
  }

  /** A stream's last frame of ours has been sent. */
  protected abstract answeredInFull(): void;

  /** Our preface and SETTINGS. Returns the connection's receive window. */
  protected greet(side: "server" | "client", limits: Http2Limits): number {
    const { concurrentStreamsMax, streamWindowBytes, connectionWindowBytes, headerListBytesMax } = limits;
    const settings: [number, number][] = [
      side === "client" ? [Setting.enablePush, 0] : [Setting.maxConcurrentStreams, concurrentStreamsMax],
      [Setting.initialWindowSize, streamWindowBytes],
      [Setting.maxHeaderListSize, headerListBytesMax],
    ];
    if (side === "client") this.output.append(preface);
    this.output.head(settings.length * 6, FrameType.settings, 0, 0);
    for (const [id, value] of settings) {
      this.output.uint16(id);
      this.output.uint32(value);
    }
    if (connectionWindowBytes <= defaultWindowBytes) return defaultWindowBytes;
    this.sendWindowUpdate(0, connectionWindowBytes - defaultWindowBytes);
    return connectionWindowBytes;
  }

  protected sendRstStream(streamId: number, code: number): void {
    this.output.head(4, FrameType.rstStream, 0, streamId);
    this.output.uint32(code);
  }

  protected sendGoaway(lastStreamId: number, code: number, debug: string): void {
    const text = Buffer.from(debug);
    this.output.head(8 + text.length, FrameType.goaway, 0, 0);
    this.output.uint32(lastStreamId);
    this.output.uint32(code);
    if (text.length > 0) this.output.append(text);
  }

  /** Acknowledges SETTINGS, or answers PING with its payload. */
  protected sendAnswer(type: number, payload?: Uint8Array): void {
    if (this.output.isBacklogged) {
      this.#waitingAnswers += 1;
      if (this.#waitingAnswers > connectionLimits.waitingAnswersMax) {
        throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer asks and does not read the answers");
      }
    }
    this.output.head(payload?.length ?? 0, type, Flag.ack, 0);
    if (payload !== undefined) this.output.append(payload);
  }

  protected get waitsForPing(): boolean {
    return this.#pings.length > 0;
  }

  protected sendPing(onAnswered: () => void): void {
    this.#pings.push(onAnswered);
    this.output.head(8, FrameType.ping, 0, 0);
    this.output.uint32(0);
    this.output.uint32(this.#pingsAnswered + this.#pings.length);
  }

  protected pingAnswered(payload: Buffer, at: number): void {
    // An answer to no question of ours must not end a wait.
    if (this.#pings.length === 0 || payload.readUInt32BE(at + 4) !== (this.#pingsAnswered + 1) >>> 0) return;
    this.#pingsAnswered += 1;
    this.#pings.shift()?.();
  }

  /** The connection has gone: nobody will answer. */
  protected dropPings(): void {
    for (const resolve of this.#pings.splice(0)) resolve();
  }

  protected unblock(stream: Stream): void {
    this.#blocked.delete(stream);
  }

  /** A WINDOW_UPDATE for the connection. */
  protected widen(increment: number): void {
    if (increment === 0) throw new ConnectionError(ErrorCode.protocolError, "WINDOW_UPDATE has an increment of 0");
    this.#sendWindow += increment;
    if (this.#sendWindow > windowBytesMax) {
      throw new ConnectionError(ErrorCode.flowControlError, "the connection's window exceeds 2^31 - 1");
    }
    this.#pumpBlocked();
  }

  readonly #onSocketDrain = (): void => {
    this.output.isBacklogged = false;
    this.#waitingAnswers = 0;
    this.#pumpBlocked();
  };

  readonly #afterFlush = (): void => {
    if (this.#blocked.size > 0 && !this.output.isBacklogged) this.#pumpBlocked();
  };

  #pumpBlocked(): void {
    for (const stream of this.#blocked) {
      if (this.#sendWindow <= 0 || this.output.isBacklogged || this.output.bytes > connectionLimits.turnBytesMax) {
        return;
      }
      this.#blocked.delete(stream);
      stream.isBlocked = false;
      // Streams know the connection by both of its sides.
      this.pump(stream);
    }
  }

  protected abstract pump(stream: Stream): void;
}
