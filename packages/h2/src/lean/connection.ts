import type { Duplex } from "node:stream";
import { describeError, receive } from "@cutline/runtime";
import { ConnectionError, ErrorCode } from "../errors.ts";
import { defaultMaxFrameBytes, FrameType, streamIdMax } from "../frames/constants.ts";
import { FrameReader, type FrameSink } from "../frames/reader.ts";
import type { HeldBytes, Holder } from "../held-bytes.ts";
import { type CallEvents, type HeaderList, type Http2Limits, ResetCode } from "../port.ts";
import { connectionLimits } from "./limits.ts";
import { takeSettings } from "./peer-settings.ts";
import { PeerWatch } from "./peer-watch.ts";
import { ReceivingSide } from "./receiving-side.ts";
import type { Stream } from "./stream.ts";

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

/** One HTTP/2 connection (RFC 9113), of either side, on a socket that is connected. */
export class Connection extends ReceivingSide implements FrameSink, Holder {
  /** `draining`: no new streams. */
  phase: "opening" | "open" | "draining" | "closed" = "opening";
  /** The error code that the peer was told when it had broken a rule. */
  fault: number | undefined;
  readonly #socket: Duplex;
  readonly #events: ConnectionEvents;
  readonly #reader: FrameReader;
  readonly #allHeld: HeldBytes;
  readonly #watch = new PeerWatch();
  #farewell: string | undefined;
  #farewellOfPeer: string | undefined;
  /** GOAWAY with the last stream that is served has been sent. */
  #saidLast = false;

  constructor(
    side: "server" | "client",
    socket: Duplex,
    limits: Http2Limits,
    held: HeldBytes,
    events: ConnectionEvents,
  ) {
    super(side, socket, limits, held);
    this.#allHeld = held;
    held.join(this);
    this.#socket = socket;
    this.#events = events;
    // Encoded, a list may be a little longer than its own measure only in theory; what is longer is too large.
    this.#reader = new FrameReader(side, limits.headerListBytesMax + defaultMaxFrameBytes, this);
    receive(socket, this.#onBytes);
    socket.on("error", (error: Error) => {
      // One that tried several addresses has its reasons inside, and no message.
      this.#farewell ??= describeError(error);
    });
    socket.on("end", () => this.#onSocketEnd());
    socket.on("close", () => this.#closed());
    socket.resume();
  }

  get openStreams(): number {
    return this.table.size;
  }

  /** A copy. */
  get streams(): Stream[] {
    return this.table.values();
  }

  /** Client side. */
  get hasRoom(): boolean {
    return this.phase === "open" && this.table.size < this.peerStreamsMax && this.table.hasNumber;
  }

  /** Client side: opens a stream that waited. */
  open(stream: Stream): void {
    const id = this.table.takeNumber();
    this.table.add(id, stream);
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
    if (this.phase === "opening" && this.table.size === 0) {
      this.destroy(undefined);
      return;
    }
    this.phase = "draining";
    if (this.side === "client") this.sendGoaway(0, ErrorCode.noError, "");
    else {
      // What the peer opens before it hears of it is still served (RFC 9113, section 6.8).
      this.sendGoaway(streamIdMax, ErrorCode.noError, "");
      this.ping().then(() => {
        if (this.phase === "closed") return;
        this.sendGoaway(this.table.lastOfPeer, ErrorCode.noError, "");
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

  /** The stream is over. */
  override forget(stream: Stream): void {
    if (!this.table.delete(stream.id)) return;
    this.unblock(stream);
    if (this.phase === "draining") this.#endIfDone();
    if (this.side === "client") this.#events.onRoomChanged();
  }

  // For whoever looks after many connections

  get heldBytes(): number {
    return this.held.bytes;
  }

  giveUp(bytes: number): void {
    if (this.side === "server") {
      const message = "too many bytes are held for all connections, the most of them for this one";
      this.#fail(new ConnectionError(ErrorCode.enhanceYourCalm, message));
      return;
    }
    const largestFirst = this.streams.map((stream) => ({ stream, heldBytes: stream.heldBytes }));
    largestFirst.sort((a, b) => b.heldBytes - a.heldBytes);
    let leftBytes = bytes;
    for (const { stream, heldBytes } of largestFirst) {
      if (leftBytes <= 0 || heldBytes === 0) return;
      leftBytes -= heldBytes;
      this.resetStream(stream.id, ErrorCode.enhanceYourCalm);
      stream.died(ErrorCode.enhanceYourCalm, "peer");
    }
  }

  /** Called every so often. */
  sweep(everyMs: number): void {
    if (this.#farewell !== undefined) return;
    if (this.#reader.waitedMs(everyMs) >= this.limits.headerBlockTimeoutMs) {
      this.#fail(new ConnectionError(ErrorCode.enhanceYourCalm, "a header block does not come to its end"));
      return;
    }
    // Servers count the PINGs of their clients, and do not like them.
    const isBusy = this.side === "client" || this.table.size > 0 || this.phase !== "open";
    const seen = this.#watch.look(everyMs, isBusy, this.limits);
    if (seen === "ask") this.sendPing(() => undefined);
    if (seen !== "gone") return;
    this.#farewell = "nothing has come for long, and no answer to PING";
    this.sendGoaway(this.table.lastOfPeer, ErrorCode.noError, "");
    this.output.flush();
    this.#end();
  }

  // What the peer sends

  readonly #onBytes = (chunk: Buffer): void => {
    if (this.#farewell !== undefined) return;
    this.#watch.heard = true;
    try {
      this.#reader.feed(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.held.setPartial(this.#reader.heldBytes);
  };

  onSettings(isAck: boolean, source: Buffer, start: number, end: number): void {
    if (isAck) {
      this.newStreamWindowBytes = this.streamWindowBytes;
      return;
    }
    const isFirst = this.phase === "opening";
    if (!isFirst) this.patience.settings();
    takeSettings(this.side, source, start, end, this);
    this.sendAnswer(FrameType.settings);
    if (isFirst) {
      this.phase = "open";
      this.#events.onReady();
    } else if (this.side === "client") this.#events.onRoomChanged();
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
    if (this.side === "client") {
      for (const stream of this.table.values()) {
        if (stream.id > lastStreamId) stream.died(ResetCode.refused, "peer");
      }
      this.#events.onRoomChanged();
    }
    this.#endIfDone();
  }

  // Inside

  protected override get admission(): "serve" | "refuse" | "pass" {
    // Above the last stream that GOAWAY has named: the peer tries it elsewhere (RFC 9113, section 6.8).
    if (this.#saidLast) return "pass";
    // Who does not read answers gets no more of them: those that are short wait for no window.
    return this.#socket.writableLength > connectionLimits.unreadBytesMax ? "refuse" : "serve";
  }

  protected override begun(stream: Stream, headers: HeaderList, endStream: boolean): CallEvents {
    return this.#events.onStream(stream, headers, endStream);
  }

  #fail(error: unknown): void {
    if (this.#farewell !== undefined) return;
    const code = error instanceof ConnectionError ? error.errorCode : ErrorCode.internalError;
    const reason = error instanceof Error ? error.message : String(error);
    this.#farewell = reason;
    if (error instanceof ConnectionError) this.fault = code;
    if (this.phase === "open") this.phase = "draining";
    this.sendGoaway(this.table.lastOfPeer, code, error instanceof ConnectionError ? reason : "");
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
    if (this.phase !== "draining" || this.table.size > 0 || this.waitsForPing) return;
    this.output.flush();
    this.#end();
  }

  /** The peer sends nothing more; answers would have nobody to go to. */
  #onSocketEnd(): void {
    if (this.phase === "open") this.phase = "draining";
    this.#farewell ??= this.table.size === 0 ? undefined : "the peer closed the connection";
    this.output.flush();
    this.#end();
    this.#dropStreams();
  }

  #dropStreams(): void {
    for (const stream of this.table.values()) stream.died(ErrorCode.cancel, "connection");
  }

  #closed(): void {
    if (this.phase === "closed") return;
    this.phase = "closed";
    this.#dropStreams();
    this.held.setPartial(0);
    this.#allHeld.leave(this);
    this.dropPings();
    this.#events.onClosed(this.#farewellOfPeer ?? this.#farewell);
  }
}
