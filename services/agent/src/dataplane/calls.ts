import type { CallEvents, CallStream, HeaderList } from "@cutline/h2";
import { ResetCode } from "@cutline/h2";
import { CallEnd } from "./call/call-end.ts";
import type { CallHeaders, CallHost } from "./call/call-host.ts";
import { nothingYet, type Position } from "./call/position.ts";
import { FrameError } from "./link/codec.ts";
import type { ArrivedFrame } from "./link/frame.ts";
import { decodeHeaders, headerValue, withoutHeaders } from "./link/headers.ts";
import type { Link } from "./link/link.ts";

/** Metadata between agent and application (docs/reference/capture-contract.md); neither goes further. */
export const callIdHeader = "cutline-call-id";
const epochHeader = "cutline-epoch";

const contractHeaders: ReadonlySet<string> = new Set([callIdHeader, epochHeader]);

export function withoutContractHeaders(headers: HeaderList): HeaderList {
  return withoutHeaders(headers, contractHeaders);
}

/** What the last capture said of calls that the application made. */
interface CutMemory {
  /** The epoch that ended with it; 0: there was none. */
  readonly epoch: number;
  /** Calls that were open at it. */
  readonly open: ReadonlyMap<number, Position>;
}

/** Ended calls that may still come, remembered at a time. */
const endedEarlyMax = 10_000;

const noCut: CutMemory = { epoch: 0, open: new Map() };

export type Arrival =
  | { readonly outcome: "call"; readonly call: CallEnd }
  /** The application had ended the call before a cut: it must not leave any more, and nobody can notice. */
  | { readonly outcome: "dropped" };

/** All calls between this process's application and its links, by the ids that each side gives them. */
export class Calls {
  readonly #host: CallHost;
  readonly #incoming = new Map<number, CallEnd>();
  readonly #outgoing = new Map<number, CallEnd>();
  readonly #environmentIds = new Set<number>();
  readonly #answeredByAgent = new Set<number>();
  /** Calls of the application to itself. */
  readonly #ownIds = new Set<number>();
  /** Calls that the application has ended before they came here, the oldest first. */
  readonly #endedEarly = new Set<number>();
  #memory = noCut;
  #nextIncomingId: number;
  /**
   * Calls without an id: the application uses a client that is not wrapped. Never forgotten while the application
   * lives, because a call of such a client that is still in a socket at a cut cannot be seen.
   */
  unnamedCalls = 0;
  /** Calls that came over links since the start. */
  arrived = 0;
  /** Earlier attempts of calls whose library has tried them again under the same id. */
  readonly #superseded = new Set<CallEnd>();

  constructor(host: CallHost, firstIncomingId: number) {
    this.#host = host;
    this.#nextIncomingId = firstIncomingId;
  }

  incoming(id: number): CallEnd | undefined {
    return this.#incoming.get(id);
  }

  outgoing(id: number): CallEnd | undefined {
    return this.#outgoing.get(id);
  }

  /** Ids of calls that the application has made and is not known to have ended. */
  openOutgoingIds(): number[] {
    return [...this.#outgoing.keys(), ...this.#environmentIds, ...this.#answeredByAgent];
  }

  /** Of those that have an id of the application's; {@link Link.calls} are all. */
  get openCalls(): number {
    return this.#incoming.size + this.#outgoing.size;
  }

  /** A call that the application makes, on the link to the process that serves it. */
  openOutgoing(link: Link, stream: CallStream, headers: HeaderList, endStream: boolean): Arrival {
    const id = positiveInteger(headerValue(headers, callIdHeader));
    const epoch = positiveInteger(headerValue(headers, epochHeader)) ?? Number.POSITIVE_INFINITY;
    if (id === undefined) this.unnamedCalls += 1;
    const late = id !== undefined && epoch <= this.#memory.epoch;
    const target = late ? this.#memory.open.get(id) : undefined;
    if (late && target === undefined) {
      stream.reset(ResetCode.cancel);
      return { outcome: "dropped" };
    }
    const forwarded = withoutContractHeaders(headers);
    const call = new CallEnd("caller", this.#host, link, link.takeCallId(), describe(forwarded), { id, epoch });
    link.calls.set(call.callId, call);
    if (id !== undefined) this.#nameOutgoing(id, call);
    if (this.#host.gate.fromApplication === "settling") call.cutTarget = target ?? nothingYet;
    call.begin(stream, forwarded, endStream);
    if (id !== undefined && this.#endedEarly.delete(id)) call.endedAtApplication();
    return { outcome: "call", call };
  }

  /** A call that arrived over a link. Throws {@link FrameError} when the peer has no right to its id. */
  openIncoming(link: Link, frame: ArrivedFrame): CallEnd {
    if (!link.isPeersCallId(frame.callId)) throw new FrameError(`call id ${frame.callId} is not the peer's to give`);
    if (link.calls.has(frame.callId)) throw new FrameError(`call ${frame.callId} was opened twice`);
    if (link.calls.size >= 2 * link.openCallsMax)
      throw new FrameError(`the peer opened more than ${link.calls.size} calls`);
    const headers = describe(decodeHeaders(frame.payload));
    const call = new CallEnd("callee", this.#host, link, frame.callId, headers, { id: undefined, epoch: 0 });
    link.calls.set(frame.callId, call);
    this.arrived += 1;
    return call;
  }

  /** Names a call that is handed over now. An id that was given and never handed over would be a gap for ever. */
  nameIncoming(call: CallEnd): number {
    const id = this.#nextIncomingId;
    this.#nextIncomingId += 1;
    call.applicationId = id;
    this.#incoming.set(id, call);
    return id;
  }

  finished(call: CallEnd): void {
    call.link.calls.delete(call.callId);
    if (call.link.incoming.recordings.length > 0) call.link.endedCalls.set(call.callId, call);
    if (call.applicationId === undefined) return;
    this.#superseded.delete(call);
    const table = call.role === "callee" ? this.#incoming : this.#outgoing;
    if (table.get(call.applicationId) === call) table.delete(call.applicationId);
  }

  /** A call with the environment, of which a cut expects nothing. */
  noteEnvironment(id: number): void {
    if (!this.#endedEarly.delete(id)) this.#environmentIds.add(id);
  }

  /** A call of the application to itself, which has no channel. */
  noteOwn(id: number): void {
    this.noteEnvironment(id);
    if (this.#environmentIds.has(id)) this.#ownIds.add(id);
  }

  /** Whether it is a call of the application to itself, and is not known to have ended. */
  isOwn(id: number): boolean {
    return this.#ownIds.has(id);
  }

  /** A call that the agent has ended with a status of its own. */
  noteAnswered(id: number): void {
    if (!this.#endedEarly.delete(id)) this.#answeredByAgent.add(id);
  }

  /** Whether the agent has ended the call, and the application is not known to have received that. */
  isAnsweredByAgent(id: number): boolean {
    return this.#answeredByAgent.has(id);
  }

  /** Whether the call has come out of the application, to wherever it went, and is not known to have ended. */
  hasSeen(id: number): boolean {
    return this.#outgoing.has(id) || this.#environmentIds.has(id) || this.#answeredByAgent.has(id);
  }

  /** Remembers a capture, so that calls of its epoch that come late are known for what they are. */
  rememberCut(epoch: number, open: ReadonlyMap<number, Position>): void {
    this.#memory = { epoch, open };
  }

  /** Calls of the last cut that never left the application: should one still come, nobody waits for it any more. */
  dropIfLate(ids: ReadonlySet<number>): void {
    const open = new Map([...this.#memory.open].filter(([id]) => !ids.has(id)));
    this.#memory = { epoch: this.#memory.epoch, open };
  }

  /** The application has ended a call that it made, whether or not it ever came here. */
  outgoingEnded(id: number): void {
    this.#ownIds.delete(id);
    const isKnown = this.#answeredByAgent.delete(id) || this.#environmentIds.delete(id) || this.#outgoing.has(id);
    if (!isKnown) this.#noteEndedEarly(id);
    this.#outgoing.get(id)?.endedAtApplication();
    for (const call of [...this.#superseded]) if (call.applicationId === id) call.endedAtApplication();
  }

  /** The application was started anew: its ids and epochs begin again. */
  forgetApplication(): void {
    this.#memory = noCut;
    this.#environmentIds.clear();
    this.#ownIds.clear();
    this.#answeredByAgent.clear();
    this.#endedEarly.clear();
    this.unnamedCalls = 0;
    this.applicationGone();
  }

  /** What the application had received nobody can say any more, and it makes no difference. */
  applicationGone(): void {
    for (const call of [...this.#outgoing.values(), ...this.#superseded]) call.endedAtApplication();
  }

  #noteEndedEarly(id: number): void {
    this.#endedEarly.add(id);
    for (const oldest of this.#endedEarly) {
      if (this.#endedEarly.size <= endedEarlyMax) break;
      this.#endedEarly.delete(oldest);
    }
  }

  #nameOutgoing(id: number, call: CallEnd): void {
    const earlier = this.#outgoing.get(id);
    if (earlier !== undefined) this.#superseded.add(earlier);
    this.#outgoing.set(id, call);
  }
}

/** A stream of the application that leads nowhere: the receiver of its remaining events. */
export const ignoredEvents: CallEvents = {
  onHeaders() {},
  onData() {},
  onTrailers() {},
  onEnd() {},
  onReset() {},
  onDrain() {},
};

export function positiveInteger(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,15}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

function describe(headers: HeaderList): CallHeaders {
  let [authority, method, isGrpc] = ["", "", false];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name === ":path") method = headers[i + 1] ?? "";
    else if (name === ":authority") authority = headers[i + 1] ?? "";
    else if (name === "content-type") isGrpc = headers[i + 1]?.startsWith("application/grpc") ?? false;
  }
  return { list: headers, authority, method, isGrpc };
}
