import type { CallEvents, CallStream, HeaderList, ResetCause } from "@cutline/h2";
import { ResetCode } from "@cutline/h2";
import { FrameError, FrameFlag, FrameType, unpin } from "../link/codec.ts";
import type { ArrivedFrame } from "../link/frame.ts";
import { encodeHeaders, isGrpc } from "../link/headers.ts";
import { decodeReset, encodeReset, GrpcStatus, statusAnswer, statusTrailers } from "./answers.ts";
import { CallStanding } from "./call-standing.ts";
import { checkDirection } from "./direction.ts";
import { everything, type Position } from "./position.ts";

/**
 * One end of a call that crosses a link. Carries frames both ways, keeps what the application may not have received,
 * and knows at every instant what stands where. All methods are synchronous.
 */
export class CallEnd extends CallStanding implements CallEvents {
  #finished = false;

  /** Caller: the application's stream, whose opening headers go first. */
  begin(stream: CallStream, headers: HeaderList, endStream: boolean): void {
    this.stream = stream;
    this.sending.take(FrameType.open, 0, encodeHeaders(headers), "headers");
    if (endStream) this.onEnd();
  }

  // From the link

  /** Throws {@link FrameError} when the frame does not fit the call. */
  arrive(frame: ArrivedFrame): void {
    checkDirection(this.role, frame.type);
    if (this.endArrived && frame.type !== FrameType.reset) throw new FrameError("a frame came behind its call's end");
    if (frame.type === FrameType.message) this.credit.noteArrived(frame.payload.length);
    this.inbound.append(frame);
    const { role } = frame;
    if (role.part === "end") {
      this.inboundEnded = true;
      this.endArrived = true;
      if (frame.type !== FrameType.halfClose) this.lastWord = frame;
    }
    if (frame.type === FrameType.reset) this.resetArrived = frame;
    if (this.role === "callee" && role.part === "message" && role.index === 0) this.request.keep(frame.payload);
  }

  /**
   * Ends the call because too much is kept already. `waits`: what comes next for it stands behind a marker, and an
   * answer to that may not go out before the cut.
   */
  refuse(reason: string): "refused" | "waits" {
    const { next } = this.inbound;
    if (next !== undefined && this.link.mayDeliver(next.number) === "hold") return "waits";
    if (this.sending.phase === "ended" || this.applicationGone) return "refused";
    if (this.role === "callee" && !this.isHanded) this.applicationGone = true;
    this.#refuseWith(reason);
    this.pumpToApplication();
    return "refused";
  }

  /** What is kept for the call keeps no more than itself of the reads that it came by. */
  unpin(): void {
    for (const frame of this.inbound.remaining()) unpin(frame);
    this.request.unpin();
  }

  /** After the call has ended here: tells a frame its place in the call. Throws {@link FrameError} as `arrive` does. */
  arriveLate(frame: ArrivedFrame): void {
    checkDirection(this.role, frame.type);
    this.inbound.append(frame);
    this.inbound.takeAll(() => undefined);
  }

  credited(grantedBytes: number): void {
    if (this.credit.takeGrant(grantedBytes) === "more") this.pumpToLink();
  }

  /** After a reconnect: grants may have been lost. */
  regrant(): void {
    const grant = this.credit.repeatedGrant;
    if (grant !== undefined) this.link.grant(this.callId, grant);
  }

  /** Hands over what may be handed over now. */
  pumpToApplication(): void {
    for (let frame = this.inbound.next; frame !== undefined; frame = this.inbound.next) {
      if (this.abandoned || !this.mayHand(frame)) return;
      if (this.streamFull && !this.#skipToReset()) return;
      const next = this.inbound.next ?? frame;
      this.inbound.advance();
      this.host.gate.noteCrossing();
      this.#hand(next);
    }
    this.#finishIfOver();
  }

  /** Sends what may be sent now. */
  pumpToLink(): void {
    this.sending.pump();
  }

  /** The link is dead: the application gets UNAVAILABLE at once, whatever else was on its way is lost. */
  linkLost(reason: string): void {
    if (this.isInProcess) this.host.onCancelled(this);
    this.isLinkLost = true;
    this.inboundEnded = true;
    this.sending.endSilently();
    this.inbound.takeAll(() => undefined);
    if (this.role === "caller") this.#answer(GrpcStatus.unavailable, reason);
    else this.stream?.reset(ResetCode.cancel);
    this.host.gate.noteCrossing();
    this.#finishIfOver();
  }

  // What the application has received

  /** The application has received this much of the call. */
  received(position: Position): void {
    this.inbound.takeReceived(position, this.#deliver);
    this.#offerCredit();
    this.#finishIfOver();
  }

  /** The application has ended the call on its side: it received what it was handed, and will send nothing more. */
  endedAtApplication(): void {
    this.applicationEnded = true;
    if (this.role === "caller" && this.applicationGone) this.inbound.takeAll(this.#deliver);
    this.inbound.takeHanded(this.#deliver);
    this.inbound.takeReceived(everything, this.#deliver);
    this.#finishIfOver();
  }

  /** None of what was handed over before a reset can make the application begin any more. */
  settled(): void {
    this.unsettled = false;
    this.inbound.takeAll(this.#deliver);
    this.#finishIfOver();
  }

  // At a cut

  /**
   * The caller's application no longer knows the call: it ended it before the cut, and what may still come out of its
   * sockets can make no difference to it any more. The reset goes out in front of the marker.
   */
  abandon(): void {
    this.endedAtApplication();
    this.abandoned = true;
    this.#endOutbound(encodeReset(ResetCode.cancel));
    this.stream?.reset(ResetCode.cancel);
  }

  /** Reads on in spite of missing credit: what was sent before the cut must come out of the sockets. */
  readForCut(): void {
    this.sending.readForCut();
  }

  /** The cut is made and traffic flows again: what had to be kept for it may go. */
  afterCut(): void {
    this.cutTarget = undefined;
    if (this.sending.phase === "ended") this.outbound.clear();
    if (this.abandoned) this.inboundEnded = true;
    const reset = this.outbound.lastReset;
    if (reset !== undefined) this.#endOutbound(reset.payload);
    if (this.outbound.isEmpty) {
      this.#dropUnread();
      if (this.nobodyReceives && (this.abandoned || !this.applicationGone)) this.inbound.takeAll(this.#deliver);
    }
    this.pumpToLink();
    this.pumpToApplication();
  }

  // From the application

  onHeaders(headers: HeaderList, endStream: boolean): void {
    if (endStream) this.counted.answered(headers);
    if (endStream) this.sending.take(FrameType.trailers, FrameFlag.trailersOnly, encodeHeaders(headers), "end");
    else {
      if (!isGrpc(headers)) this.sending.bodyIsOpaque();
      this.sending.take(FrameType.headers, 0, encodeHeaders(headers), "headers");
    }
  }

  onData(chunk: Buffer): void {
    if (this.sending.takeData(chunk) === "tooLarge") this.#refuseMessage();
  }

  onTrailers(headers: HeaderList): void {
    if (this.role === "callee") this.counted.answered(headers);
    if (this.role === "callee") this.sending.take(FrameType.trailers, 0, encodeHeaders(headers), "end");
    else this.onEnd();
  }

  onEnd(): void {
    // An answer without trailers is no gRPC, and ends all the same.
    if (this.role === "callee") this.onTrailers([]);
    else this.sending.take(FrameType.halfClose, 0, nothing, "end");
  }

  onReset(code: number, cause?: ResetCause): void {
    // After `answered` the application has its answer, or will have: only its unfinished request ends here.
    if (cause !== "answered") this.applicationGone = true;
    if (this.abandoned) return;
    if (this.role === "callee" && cause === "connection") {
      const reason = this.host.applicationError ?? "the connection to the application broke";
      this.#answerForApplication(GrpcStatus.unavailable, reason);
    } else {
      this.#resetPeer(code);
    }
  }

  onDrain(): void {
    this.streamFull = false;
    this.#offerCredit();
    this.pumpToApplication();
  }

  readonly #deliver = (frame: ArrivedFrame): void => {
    this.link.delivered(frame);
  };

  /** A reset waits for nothing (RFC 9113, section 6.4), except for a cut to be made. */
  #resetPeer(code: number): void {
    if (this.sending.phase === "ended") return;
    const payload = encodeReset(code);
    if (this.host.gate.fromApplication !== "open") this.sending.take(FrameType.reset, 0, payload, "end");
    else {
      this.host.gate.noteCrossing();
      this.#endOutbound(payload);
      this.#dropUnread();
      this.#finishIfOver();
    }
  }

  #endOutbound(reset: Uint8Array): void {
    this.sending.endWith(reset, this.inboundEnded ? "ended" : "open");
    this.inboundEnded = true;
  }

  protected override sendingEnded(type: number): void {
    if (type === FrameType.reset) this.inboundEnded = true;
    if (this.role === "callee") {
      // A server that has sent its status has done with the call.
      this.streamFull = false;
      this.endedAtApplication();
      if (!this.undecided) this.inbound.takeAll(this.#deliver);
    }
    this.#dropUnread();
    this.#finishIfOver();
  }

  /**
   * What nobody will receive counts as received when that is certain. A call that the application itself has reset it
   * may still be reading from, until it says that it has ended it.
   */
  #dropUnread(): void {
    if (!this.applicationGone || this.undecided) return;
    if (this.role === "caller" && this.confirms && !this.applicationEnded && !this.abandoned) return;
    this.inbound.takeAll(this.#deliver);
  }

  /** An application that does not read still hears of a reset; what stands before it nobody will get. */
  #skipToReset(): boolean {
    const reset = this.resetArrived;
    if (reset === undefined || !this.mayHand(reset)) return false;
    while (this.inbound.next !== undefined && this.inbound.next !== reset) this.inbound.skip();
    this.streamFull = false;
    return true;
  }

  #hand(frame: ArrivedFrame): void {
    if (this.nobodyReceives) {
      if (!this.applicationGone && !this.undecided) this.inbound.takeAll(this.#deliver);
      this.#dropUnread();
      return;
    }
    switch (frame.type) {
      case FrameType.open:
        this.#open(frame.headers);
        break;
      case FrameType.headers:
        this.headersHanded = true;
        this.stream?.respond(frame.headers, false);
        break;
      case FrameType.message:
        this.credit.noteHanded(frame.payload.length);
        if (this.stream?.write(frame.payload) === "full") this.streamFull = true;
        else this.#offerCredit();
        break;
      case FrameType.halfClose:
        this.stream?.end();
        break;
      case FrameType.trailers:
        this.#handTrailers(frame);
        break;
      case FrameType.reset:
        this.#resetApplication(frame);
        break;
    }
    if (!this.confirms) this.inbound.takeHanded(this.#deliver);
  }

  #open(headers: HeaderList): void {
    const unreachable = this.host.applicationError;
    if (unreachable === undefined) {
      this.stream = this.host.openToApplication(this, headers, this);
      return;
    }
    this.applicationGone = true;
    this.#answerForApplication(GrpcStatus.unavailable, unreachable);
  }

  #handTrailers(frame: ArrivedFrame): void {
    this.endHanded = true;
    this.counted.answered(frame.headers);
    if (this.inbound.messagesHanded > 1) this.host.onStreamAnswered();
    if ((frame.flags & FrameFlag.trailersOnly) !== 0 && !this.headersHanded) this.stream?.respond(frame.headers, true);
    else this.stream?.trailers(frame.headers);
    // The server has answered without reading the whole request, and never will; an application that is still sending
    // hears of it by itself.
    if (this.outbound.read.end && this.sending.phase === "open") this.#resetPeer(ResetCode.noError);
  }

  #resetApplication(frame: ArrivedFrame): void {
    const mayBeAtWork = this.isInProcess;
    this.endHanded = true;
    this.stream?.reset(decodeReset(frame.payload) ?? ResetCode.cancel);
    // Nothing that the application still sends for the call can matter: the peer has forgotten it.
    this.sending.endSilently();
    if (this.role === "caller") return;
    if (!mayBeAtWork) {
      this.inbound.takeAll(this.#deliver);
      return;
    }
    this.host.onCancelled(this);
    if (!this.confirms) return;
    this.unsettled = true;
    this.host.onUnsettled(this);
  }

  #refuseMessage(): void {
    const { messageBytesMax } = this.host.limits;
    this.#refuseWith(`a message of ${this.sending.refusedBytes} bytes exceeds the agent's limit of ${messageBytesMax}`);
  }

  #refuseWith(reason: string): void {
    if (this.role === "callee") {
      if (this.isInProcess) this.host.onCancelled(this);
      this.#answerForApplication(GrpcStatus.resourceExhausted, reason);
      this.stream?.reset(ResetCode.cancel);
      return;
    }
    this.#answer(GrpcStatus.resourceExhausted, reason);
    // Nothing of the callee's answer may follow the agent's own.
    this.applicationGone = true;
    this.#resetPeer(ResetCode.cancel);
  }

  /** Callee: ends the call towards its caller, in the application's place. */
  #answerForApplication(status: string, message: string): void {
    this.counted.answeredWith(status);
    const { headers } = this.outbound.read;
    const block = encodeHeaders(headers ? statusTrailers(status, message) : statusAnswer(status, message));
    this.sending.take(FrameType.trailers, headers ? 0 : FrameFlag.trailersOnly, block, "end");
  }

  /** Caller: ends the call towards the application, in the callee's place. */
  #answer(status: string, message: string): void {
    this.counted.answeredWith(status);
    this.host.onAnsweredByAgent(this);
    if (this.headersHanded) this.stream?.trailers(statusTrailers(status, message));
    else this.stream?.respond(statusAnswer(status, message), true);
  }

  readonly #offerAgain = (): void => this.#offerCredit();

  /** Tops the peer's credit up, unless the application, this call's share of memory or all of it is full. */
  #offerCredit(): void {
    if (this.streamFull || this.inboundEnded) return;
    // A message that has begun gets through, however much is kept: it cannot be received in part.
    if (this.inbound.bytes >= this.host.limits.keptBytesMax && !this.inbound.handedInsideMessage) return;
    const { memory } = this.host;
    if (memory.isFull && !this.inbound.handedInsideMessage) {
      memory.whenRoom(this.#offerAgain);
      return;
    }
    const grant = this.credit.nextGrant();
    if (grant !== undefined) this.link.grant(this.callId, grant);
  }

  #finishIfOver(): void {
    if (this.#finished || !this.isOver) return;
    this.#finished = true;
    this.request.release();
    this.host.memory.forget(this.#offerAgain);
    this.counted.close(this);
    this.host.onFinished(this);
  }
}

const nothing = new Uint8Array(0);
