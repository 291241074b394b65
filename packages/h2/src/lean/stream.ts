import { ErrorCode } from "../errors.ts";
import type { CallEvents, CallStream, HeaderList, ResetCause } from "../port.ts";
import { isHead, isInformational, sendableHeaders } from "./header-rules.ts";
import { connectionLimits } from "./limits.ts";
import type { ReceivingSide } from "./receiving-side.ts";
import { UnreadPieces } from "./unread-pieces.ts";
import { UnsentPieces } from "./unsent-pieces.ts";

const noHeaders: HeaderList = [];

/**
 * One stream (RFC 9113, section 5). A client's stream may wait for a connection; what is written to it waits in it.
 * Methods for the owner of the call are those of `CallStream`; the rest are for the connection.
 */
export class Stream implements CallStream {
  /** 0 while it waits for a connection. */
  id = 0;
  /** Of the peer: what we may still send, beside what the connection allows. */
  sendWindow = 0;
  isBlocked = false;
  readonly #isServer: boolean;
  #connection: ReceivingSide | undefined;
  #events: CallEvents | undefined;
  #onOver: ((stream: Stream) => void) | undefined;
  // What we send.
  #request: HeaderList = noHeaders;
  #begun = false;
  /** Made when it is needed: most pieces are sent at once. */
  #unsent: UnsentPieces | undefined;
  #toldFull = false;
  /** What stands behind the queue. */
  #ending: "open" | "end" | HeaderList = "open";
  #localEnded = false;
  // What the peer sends.
  #receiveWindow = 0;
  #consumedBytes = 0;
  #paused = false;
  #answerBegun = false;
  /** An answer to HEAD tells the length of what it does not bring. */
  #isHead = false;
  #remoteEnded = false;
  #declaredBytes = -1;
  #receivedBytes = 0;
  /** Made when it is needed: most streams are read as they come. */
  #unread: UnreadPieces | undefined;
  #heldEnd: "none" | "end" | HeaderList = "none";
  #releasing = false;
  #over = false;
  #silent = false;

  private constructor(isServer: boolean) {
    this.#isServer = isServer;
  }

  /** A stream that the peer has opened. Its events are given by `listen`. */
  static accepted(connection: ReceivingSide, id: number, endStream: boolean, declaredBytes: number): Stream {
    const stream = new Stream(true);
    stream.#attach(connection, id);
    stream.#remoteEnded = endStream;
    stream.#declaredBytes = declaredBytes;
    return stream;
  }

  /** A stream that we open, as soon as it is given a connection. */
  static waiting(
    request: HeaderList,
    endStream: boolean,
    events: CallEvents,
    onOver: (stream: Stream) => void,
  ): Stream {
    const stream = new Stream(false);
    stream.#request = request;
    stream.#events = events;
    stream.#onOver = onOver;
    if (endStream) stream.#ending = "end";
    return stream;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Server side: whether there is an answer, or the beginning of one. */
  get hasBegun(): boolean {
    return this.#begun;
  }

  get isWaiting(): boolean {
    return this.#connection === undefined;
  }

  get unsentBytes(): number {
    return this.#unsent === undefined ? 0 : this.#unsent.bytes;
  }

  /** What it holds because its owner does not read, or the peer takes no more. */
  get heldBytes(): number {
    return this.unsentBytes + (this.#unread?.bytes ?? 0);
  }

  /** Whether all that its owner wanted to send has been sent. */
  get isFlushed(): boolean {
    return this.#over || (this.#connection !== undefined && !this.#hasUnsent);
  }

  // For the owner of the call

  respond(headers: HeaderList, endStream: boolean): void {
    if (this.#over || !this.#isServer || this.#begun) return;
    this.#begun = true;
    if (endStream) this.#ending = "end";
    this.#connection?.sendHeaders(this, sendableHeaders(headers), endStream);
    if (endStream) this.#localEnd();
  }

  write(bytes: Uint8Array): "taken" | "full" {
    if (!this.#mayWrite() || bytes.length === 0) return "taken";
    const connection = this.#connection;
    if (connection !== undefined && this.unsentBytes === 0 && connection.trySend(this, bytes)) return "taken";
    this.#unsent ??= new UnsentPieces();
    this.#unsent.append(bytes);
    connection?.noteUnsent(bytes.length);
    if (connection !== undefined && !this.isBlocked) this.#pump(connection);
    if (this.unsentBytes < connectionLimits.streamQueueBytesMax) return "taken";
    this.#toldFull = true;
    return "full";
  }

  end(): void {
    if (!this.#mayWrite()) return;
    this.#ending = "end";
    this.#endIfSent();
  }

  trailers(headers: HeaderList): void {
    if (!this.#isServer) {
      this.end();
      return;
    }
    if (!this.#mayWrite()) return;
    const sendable = sendableHeaders(headers);
    this.#ending = sendable.length === 0 ? "end" : sendable;
    this.#endIfSent();
  }

  reset(code: number): void {
    if (this.#over) {
      // What would still be told in this turn is not: its owner has done with it.
      this.#events = undefined;
      this.#silent = true;
      return;
    }
    const valid = Number.isInteger(code) && code >= 0 && code <= 0xffff_ffff ? code : ErrorCode.internalError;
    if (!this.#isAtRest) this.#connection?.sendReset(this, valid);
    this.#finish();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#over || this.#releasing || (!this.#hasUnread && this.#heldEnd === "none")) return;
    this.#releasing = true;
    setImmediate(() => this.#release());
  }

  // For the connection

  /** Server side, after `onCall`. */
  listen(events: CallEvents): void {
    if (!this.#silent) this.#events = events;
  }

  /** Client side: opens the stream. */
  start(connection: ReceivingSide, id: number): void {
    this.#attach(connection, id);
    this.#begun = true;
    const endsAtOnce = this.#ending === "end" && this.unsentBytes === 0;
    connection.sendHeaders(this, sendableHeaders(this.#request), endsAtOnce);
    this.#isHead = isHead(this.#request);
    this.#request = noHeaders;
    if (endsAtOnce) this.#localEnd();
    else this.#pump(connection);
  }

  /** Sends what may be sent of the queue. Tells its owner when it may go on. */
  pump(connection: ReceivingSide): void {
    this.#pump(connection);
    if (!this.#toldFull || this.#over || this.unsentBytes >= connectionLimits.streamQueueBytesMax / 2) return;
    this.#toldFull = false;
    this.#events?.onDrain();
  }

  /** A DATA frame begins. */
  dataFrame(frameBytes: number): "ok" | "ended" | "flowControl" {
    if (this.#remoteEnded) return "ended";
    this.#receiveWindow -= frameBytes;
    return this.#receiveWindow < 0 ? "flowControl" : "ok";
  }

  /** Octets of a frame that nobody reads: its padding. */
  padding(bytes: number): void {
    this.#consumed(bytes);
  }

  data(source: Buffer, start: number, end: number, endStream: boolean): "ok" | "malformed" {
    const bytes = end - start;
    this.#receivedBytes += bytes;
    if (!this.#isServer && !this.#answerBegun) return "malformed";
    if (this.#declaredBytes >= 0 && this.#isLengthWrong(endStream)) return "malformed";
    if (bytes > 0) {
      if (this.#paused || this.#hasUnread) this.#hold(source, start, end);
      else {
        this.#events?.onData(source.subarray(start, end));
        this.#consumed(bytes);
      }
    }
    if (endStream && !this.#over) this.#remoteEnd("end");
    return "ok";
  }

  /** The answer's headers, or trailers. */
  headers(headers: HeaderList, endStream: boolean, declaredBytes: number | "wrong"): "ok" | "malformed" | "ended" {
    if (this.#remoteEnded) return "ended";
    if (!this.#isServer && !this.#answerBegun) {
      if (isInformational(headers)) return endStream ? "malformed" : "ok";
      const hasBody = !this.#isHead && headers[1] !== "304";
      if (declaredBytes === "wrong" || (hasBody && endStream && declaredBytes > 0)) return "malformed";
      this.#answerBegun = true;
      this.#remoteEnded = endStream;
      this.#declaredBytes = hasBody ? declaredBytes : -1;
      if (endStream) this.#answered();
      this.#events?.onHeaders(headers, endStream);
      return "ok";
    }
    if (!endStream || (this.#declaredBytes >= 0 && this.#isLengthWrong(true))) return "malformed";
    this.#remoteEnd(headers);
    return "ok";
  }

  /** Whether the next HEADERS of the peer are trailers. */
  get expectsTrailers(): boolean {
    return this.#isServer || this.#answerBegun;
  }

  /** The stream has died; `cause` is told to its owner. */
  died(code: number, cause: ResetCause): void {
    if (this.#over) return;
    this.#finish();
    this.#events?.onReset(code, cause);
  }

  /** As `died`, but from inside a method of the owner. */
  diesSoon(code: number, cause: ResetCause): void {
    if (this.#over) return;
    this.#finish();
    setImmediate(() => this.#events?.onReset(code, cause));
  }

  // Inside

  #attach(connection: ReceivingSide, id: number): void {
    this.#connection = connection;
    connection.noteUnsent(this.unsentBytes);
    this.id = id;
    this.sendWindow = connection.peerStreamWindowBytes;
    this.#receiveWindow = connection.newStreamWindowBytes;
  }

  get #hasUnsent(): boolean {
    return this.unsentBytes > 0 || (this.#ending !== "open" && !this.#localEnded);
  }

  /** Both sides have ended, and there is nothing to reset. */
  get #isAtRest(): boolean {
    return this.#localEnded && this.#remoteEnded;
  }

  #mayWrite(): boolean {
    if (this.#over || this.#ending !== "open") return false;
    if (!this.#isServer || this.#begun) return true;
    this.#connection?.sendReset(this, ErrorCode.internalError);
    this.diesSoon(ErrorCode.internalError, "peer");
    return false;
  }

  #pump(connection: ReceivingSide): void {
    let sentBytes = 0;
    const unsent = this.#unsent;
    while (unsent !== undefined && unsent.bytes > 0) {
      if (sentBytes >= connectionLimits.streamTurnBytesMax && connection.othersWait) {
        connection.block(this);
        return;
      }
      const bytes = connection.sendable(this, unsent.firstBytes);
      if (bytes === 0) return;
      connection.sendData(this, unsent.take(bytes));
      connection.noteUnsent(-bytes);
      sentBytes += bytes;
    }
    this.#endIfSent();
  }

  #endIfSent(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#ending === "open" || this.#localEnded || this.unsentBytes > 0) return;
    if (this.#ending === "end") connection.sendEnd(this);
    else connection.sendHeaders(this, this.#ending, true);
    this.#localEnd();
  }

  #localEnd(): void {
    this.#localEnded = true;
    if (!this.#isServer) return;
    // A complete answer ends the call both ways.
    if (this.#remoteEnded && this.#heldEnd === "none") {
      this.#finish();
      return;
    }
    if (!this.#remoteEnded) this.#connection?.sendReset(this, ErrorCode.noError);
    const isCut = !this.#remoteEnded || this.#heldEnd !== "none";
    this.#finish();
    if (isCut) setImmediate(() => this.#events?.onReset(ErrorCode.noError, "answered"));
  }

  #remoteEnd(by: "end" | HeaderList): void {
    this.#remoteEnded = true;
    if (this.#paused || this.#hasUnread) this.#heldEnd = by;
    else this.#handEnd(by);
  }

  #handEnd(by: "end" | HeaderList): void {
    if (!this.#isServer) this.#answered();
    if (by === "end") this.#events?.onEnd();
    else this.#events?.onTrailers(by);
  }

  /** Client side: the answer is complete. */
  #answered(): void {
    if (!this.#localEnded) this.#connection?.sendReset(this, ErrorCode.noError);
    this.#finish();
  }

  #isLengthWrong(ended: boolean): boolean {
    return this.#receivedBytes > this.#declaredBytes || (ended && this.#receivedBytes !== this.#declaredBytes);
  }

  get #hasUnread(): boolean {
    return this.#unread !== undefined && !this.#unread.isEmpty;
  }

  #hold(source: Buffer, start: number, end: number): void {
    this.#connection?.noteHeld(end - start);
    this.#unread ??= new UnreadPieces();
    this.#unread.append(source, start, end);
  }

  #release(): void {
    this.#releasing = false;
    while (this.#hasUnread) {
      if (this.#paused || this.#over) return;
      const piece = this.#unread?.shift() as Buffer;
      this.#connection?.noteHeld(-piece.length);
      this.#events?.onData(piece);
      this.#consumed(piece.length);
    }
    if (this.#paused || this.#over || this.#heldEnd === "none") return;
    const by = this.#heldEnd;
    this.#heldEnd = "none";
    this.#handEnd(by);
  }

  #consumed(bytes: number): void {
    const connection = this.#connection;
    if (connection === undefined || this.#remoteEnded || this.#over) return;
    this.#consumedBytes += bytes;
    if (this.#consumedBytes * 2 < connection.streamWindowBytes) return;
    this.#receiveWindow += this.#consumedBytes;
    connection.sendWindowUpdate(this.id, this.#consumedBytes);
    this.#consumedBytes = 0;
  }

  #finish(): void {
    this.#over = true;
    const unreadBytes = this.#unread?.bytes ?? 0;
    this.#unread?.clear();
    const connection = this.#connection;
    if (connection !== undefined) {
      if (this.unsentBytes > 0) connection.noteUnsent(-this.unsentBytes);
      if (unreadBytes > 0) connection.noteHeld(-unreadBytes);
      connection.forget(this);
    }
    this.#unsent?.clear();
    this.#onOver?.(this);
  }
}
