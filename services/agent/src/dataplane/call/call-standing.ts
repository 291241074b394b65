import type { CallStream } from "@cutline/h2";
import type { CountedCall } from "../../metrics/call-book.ts";
import { FrameType } from "../link/codec.ts";
import type { ArrivedFrame } from "../link/frame.ts";
import type { Link } from "../link/link.ts";
import type { ApplicationNames, CallHeaders, CallHost, CallRole } from "./call-host.ts";
import { Credit } from "./credit.ts";
import { InboundQueue } from "./inbound-queue.ts";
import { KeptRequest } from "./kept-request.ts";
import type { OutboundItem, OutboundQueue } from "./outbound-queue.ts";
import { everything, type Position } from "./position.ts";
import { Sending } from "./sending.ts";

/** Whose one end of a call is, and how it stands at every instant. */
export abstract class CallStanding {
  readonly role: CallRole;
  readonly link: Link;
  readonly callId: number;
  readonly method: string;
  /** Caller: the id the application gave (`undefined`: it gave none). Callee: the agent's, once it is handed over. */
  applicationId: number | undefined;
  /** The application's epoch in which it made the call; see `cutline-epoch`. */
  readonly epoch: number;
  readonly inbound: InboundQueue;
  readonly request: KeptRequest;
  readonly counted: CountedCall;
  protected readonly host: CallHost;
  protected readonly sending: Sending;
  protected readonly credit: Credit;
  protected stream: CallStream | undefined;
  protected streamFull = false;
  /** Nothing more arrives over the link. */
  protected inboundEnded = false;
  protected resetArrived: ArrivedFrame | undefined;
  protected headersHanded = false;
  /** The application was given the answer's end, or a reset. */
  protected endHanded = false;
  protected endArrived = false;
  /** The peer's last word on the call, when it has come. */
  protected lastWord: ArrivedFrame | undefined;
  protected isLinkLost = false;
  protected applicationGone = false;
  /** The application is known to have ended the call, at a point or by a receipt. */
  protected applicationEnded = false;
  protected abandoned = false;
  /** Callee: the application was told of a reset, and may not have begun what it was handed before. */
  protected unsettled = false;

  constructor(
    role: CallRole,
    host: CallHost,
    link: Link,
    callId: number,
    headers: CallHeaders,
    application: ApplicationNames,
  ) {
    this.role = role;
    this.host = host;
    this.link = link;
    this.callId = callId;
    this.inbound = new InboundQueue(link.kept);
    this.method = headers.method;
    this.applicationId = application.id;
    this.epoch = application.epoch;
    this.request = new KeptRequest(host.limits.requestKeptBytesMax, host.memory);
    this.credit = new Credit(host.limits.windowBytes);
    this.counted = host.countCall(role, link, headers);
    this.sending = new Sending({
      role,
      host,
      link,
      callId,
      isGrpc: headers.isGrpc,
      credit: this.credit,
      onEnded: (type) => this.sendingEnded(type),
      setReading: (reading) => {
        if (reading === "paused") this.stream?.pause();
        else this.stream?.resume();
      },
    });
  }

  /** The last frame of the application's direction has been numbered, of this type. */
  protected abstract sendingEnded(type: number): void;

  /** What the application has sent and the link has not taken. */
  get outbound(): OutboundQueue {
    return this.sending.queue;
  }

  /** Message bytes of the call so far: from the application to the link, and from the link. */
  get sentBytes(): number {
    return this.credit.sentBytes;
  }

  get receivedBytes(): number {
    return this.credit.arrivedBytes;
  }

  /** While a cut settles: what the application had sent at its capture. */
  get cutTarget(): Position | undefined {
    return this.sending.cutTarget;
  }

  set cutTarget(target: Position | undefined) {
    this.sending.cutTarget = target;
  }

  /** Callee: whether the application was given the call. */
  get isHanded(): boolean {
    return this.stream !== undefined;
  }

  /** Nothing more comes out of the application for this call. */
  get isSilent(): boolean {
    return this.sending.phase !== "open" || this.applicationGone || this.outbound.read.end;
  }

  /** Callee: the handler may be at work; it was handed the call and has not answered to the end. */
  get isInProcess(): boolean {
    return this.role === "callee" && this.isHanded && !this.isSilent;
  }

  /** Caller: the application was given a message of the answer, and not its end. */
  get isAnswerInPart(): boolean {
    return this.role === "caller" && this.inbound.messagesHanded > 0 && !this.endHanded;
  }

  /** The call stands still in either direction, because an application or a link takes no more for now. */
  get isBackedUp(): boolean {
    return this.sending.isPaused || this.streamFull || (this.stream?.unsentBytes ?? 0) > 0;
  }

  /** A message has crossed between application and agent in part, in either direction. */
  get isInsideMessage(): boolean {
    return this.sending.isInsideMessage || this.inbound.handedInsideMessage;
  }

  // At a cut

  /** Whether all that the application had sent before its cut has come out of its sockets, or will not any more. */
  get hasSettled(): boolean {
    return this.isSilent || this.sending.hasReadTarget;
  }

  /**
   * Whether the application ended the call with less having come out of it than it had sent before its cut. Where the
   * peer ended it, the peer's last word in the channel state tells what became of the rest.
   */
  get hasLostSome(): boolean {
    const { cutTarget } = this;
    if (cutTarget === undefined || cutTarget === everything || this.isLinkLost) return false;
    const lastWord = this.lastWord?.number;
    // Behind a marker it stands behind the peer's cut, and tells nothing of what was before.
    if (lastWord !== undefined && this.link.mayDeliver(lastWord) === "deliver") return false;
    return this.isSilent && this.outbound.read.messages < cutTarget.messages;
  }

  /** What the application sent before its cut and the link has not taken: the call's share of the outbox. */
  outbox(): OutboundItem[] {
    return this.sending.outbox();
  }

  // What it means for frames

  /** Whether what is handed over counts as received only when the application says so. */
  protected get confirms(): boolean {
    return this.host.confirmsReceipt && this.applicationId !== undefined;
  }

  /** What the call still brings makes no difference to the application. */
  protected get nobodyReceives(): boolean {
    if (this.unsettled) return false;
    return this.abandoned || this.applicationGone || (this.role === "callee" && this.sending.phase === "ended");
  }

  /** During a capture nobody knows yet on which side of the cut the application's receiving stands. */
  protected get undecided(): boolean {
    return this.confirms && this.host.gate.fromApplication !== "open";
  }

  protected mayHand(frame: ArrivedFrame): boolean {
    if (this.link.mayDeliver(frame.number) === "hold" || !this.host.gate.mayEnter(frame.type)) return false;
    return frame.type !== FrameType.open || this.host.applicationReady;
  }

  /** Nothing more of the call goes either way, and nobody has to receive what came. */
  protected get isOver(): boolean {
    if (this.host.gate.fromApplication !== "open" && !this.outbound.isEmpty) return false;
    return this.inboundEnded && this.sending.phase !== "open" && this.inbound.isEmpty;
  }
}
