import type { AcceptedConnection, CallEvents, CallStream, HeaderList, Http2Client } from "@cutline/h2";
import type { CutTrigger, LinkParty, SnapshotRef } from "@cutline/protocol";
import type { Logger } from "@cutline/runtime";
import type { Recorder } from "../capture/recorder.ts";
import { Driver, type DriverEvents } from "../driver.ts";
import { CallBook, type CountedCall, environmentPeer } from "../metrics/call-book.ts";
import { LinkBook } from "../metrics/link-book.ts";
import { GrpcStatus } from "./call/answers.ts";
import type { CallEnd } from "./call/call-end.ts";
import type { CallHeaders, CallHost, CallLimits, CallRole } from "./call/call-host.ts";
import { Gate } from "./call/gate.ts";
import { Calls, callIdHeader, ignoredEvents, positiveInteger, withoutContractHeaders } from "./calls.ts";
import { answerStatus, EnvironmentLedger, passThrough } from "./environment.ts";
import { headerValue } from "./link/headers.ts";
import type { InboundMemory } from "./link/kept-bytes.ts";
import type { Link, LinkLimits } from "./link/link.ts";
import { Mesh, type MeshLimits } from "./link/mesh.ts";
import { type LinkSecurity, plainLinks } from "./link/transport.ts";
import { applicationUnreachable, authorityUnreachable } from "./unreachable.ts";

/** What the data plane needs to know of the application. */
export interface ApplicationSide {
  /** False: it is not known yet how to hand calls over; they wait. */
  readonly ready: boolean;
  /** Why it cannot be reached, where it cannot. */
  readonly error: string | undefined;
  /** True: a handed frame counts as received only when the application has said so. */
  readonly confirmsReceipt: boolean;
  /** See `Participant.Settle`. */
  settle(call: CallEnd): void;
  /** A call was ended while its handler may have been at work. */
  cancelled(): void;
  /** The application was given the end of an answer of several messages. */
  streamAnswered(): void;
}

export interface DataPlaneOptions {
  readonly self: LinkParty;
  /** The first id of incoming calls; see `ParticipantHelloRequest.first_call_id`. */
  readonly firstIncomingId: number;
  /** What stands between the agent and its application's own bookkeeping. */
  readonly application: ApplicationSide;
  readonly callLimits: CallLimits;
  readonly linkLimits: LinkLimits;
  readonly meshLimits: MeshLimits;
  /** Mutual TLS on links. Absent: plain TCP. */
  readonly security?: LinkSecurity;
  readonly recorder: Recorder;
  readonly applicationClient: Http2Client;
  /** A client for an authority outside of the mesh. */
  environmentClient(authority: string): Http2Client | undefined;
  readonly now: () => number;
  readonly logger: Logger;
}

export interface SnapshotEvents extends Omit<DriverEvents, "onOpen" | "onLinkLost"> {
  onCapture(ref: SnapshotRef, trigger: CutTrigger): void;
}

/** The traffic of one process: calls out of and into its application, over links or with the environment. */
export class DataPlane implements CallHost {
  readonly gate = new Gate();
  readonly limits: CallLimits;
  readonly calls: Calls;
  readonly driver: Driver;
  readonly mesh: Mesh;
  readonly environment = new EnvironmentLedger();
  readonly book = new CallBook();
  readonly linkBook = new LinkBook();
  readonly #options: DataPlaneOptions;
  readonly #waitingForDirectory: (() => void)[] = [];
  #directoryKnown = false;
  #directory: "known" | "none" = "none";

  constructor(options: DataPlaneOptions, events: SnapshotEvents) {
    this.#options = options;
    this.limits = options.callLimits;
    this.calls = new Calls(this, options.firstIncomingId);
    const { self, recorder, linkLimits, meshLimits, security, logger, now } = options;
    this.driver = new Driver(
      self.processId,
      recorder,
      linkLimits,
      {
        ...events,
        onOpen: (link, frame) => this.calls.openIncoming(link, frame),
        onLinkLost: (link, reason) => {
          this.linkBook.lost(link);
          logger.warn({ linkId: link.id, peer: link.peer.processId, reason }, "link given up");
        },
      },
      logger,
    );
    this.mesh = new Mesh(self, this.driver, meshLimits, security ?? plainLinks(logger, now), logger, now);
  }

  get memory(): InboundMemory {
    return this.driver.memory;
  }

  get confirmsReceipt(): boolean {
    return this.#options.application.confirmsReceipt;
  }

  get applicationReady(): boolean {
    return this.#options.application.ready;
  }

  get applicationError(): string | undefined {
    return this.#options.application.error;
  }

  countCall(role: CallRole, { peer }: Link, { authority, method, list }: CallHeaders): CountedCall {
    return this.book.begin(role === "caller" ? "outbound" : "inbound", peer.processId, authority, method, list);
  }

  openToApplication(call: CallEnd, headers: HeaderList, events: CallEvents): CallStream {
    const marked = this.confirmsReceipt ? [...headers, callIdHeader, String(this.calls.nameIncoming(call))] : headers;
    return this.#options.applicationClient.open(marked, false, events);
  }

  onUnsettled(call: CallEnd): void {
    this.#options.application.settle(call);
  }

  onCancelled(): void {
    this.#options.application.cancelled();
  }

  onStreamAnswered(): void {
    this.#options.application.streamAnswered();
  }

  onAnsweredByAgent(call: CallEnd): void {
    this.#noteAnswered(call.applicationId);
  }

  onFinished(call: CallEnd): void {
    this.calls.finished(call);
  }

  /** From here on authorities are looked up; until then new calls wait. */
  directoryKnown(): void {
    this.#directory = "known";
    this.goWithoutDirectory();
  }

  /** Authorities are taken to be outside of the mesh until a directory comes. */
  goWithoutDirectory(): void {
    this.#directoryKnown = true;
    for (const go of this.#waitingForDirectory.splice(0)) go();
  }

  /** Hands over what waited for the application to be ready. */
  applicationCameUp(): void {
    for (const link of [...this.driver.links.values()]) {
      for (const call of link.calls.values()) call.pumpToApplication();
    }
  }

  /** A connection of the application: its calls go to the process that serves their authority, or to the environment. */
  outboundConnection(connectTarget: string | undefined): AcceptedConnection {
    return {
      onCall: (stream, headers, endStream) => {
        if (this.#directoryKnown) return this.#outbound(stream, headers, endStream, connectTarget);
        return this.#afterDirectory(stream, headers, endStream, connectTarget);
      },
    };
  }

  /** A connection from a peer without an agent: its calls go to the application as they are. */
  inboundConnection(peer: string): AcceptedConnection {
    return {
      onCall: (stream, headers, endStream) =>
        passThrough({
          stream,
          headers: withoutContractHeaders(headers),
          endStream,
          client: this.#options.applicationClient,
          authority: peer,
          direction: "inbound",
          ledger: this.environment,
          book: this.book,
          unreachable: (reason) => applicationUnreachable(this.#options.self.processId, reason),
          onCrossing: () => this.gate.noteCrossing(),
          onCancelled: () => this.#options.application.cancelled(),
        }),
    };
  }

  #outbound(
    stream: CallStream,
    headers: HeaderList,
    endStream: boolean,
    connectTarget: string | undefined,
  ): CallEvents {
    const authority = headerValue(headers, ":authority") ?? connectTarget ?? "";
    const process = this.mesh.processFor(authority) ?? (connectTarget && this.mesh.processFor(connectTarget));
    if (process === undefined || process === "") {
      const closed = this.mesh.closedAt(authority) ?? (connectTarget && this.mesh.closedAt(connectTarget));
      if (closed) return this.#notServedNow(stream, headers, authority, closed);
      const client = this.#options.environmentClient(connectTarget ?? authority);
      return this.#toEnvironment(stream, headers, endStream, connectTarget ?? authority, client);
    }
    if (process === this.#options.self.processId) return this.#toItself(stream, headers, endStream);
    const link = this.mesh.linkTo(process);
    if (link === undefined || !link.mayOpenCall) {
      const message = link === undefined ? `process ${process} has left` : `too many calls are open to ${process}`;
      this.#noteAnswered(positiveInteger(headerValue(headers, callIdHeader)));
      const status = link === undefined ? GrpcStatus.unavailable : GrpcStatus.resourceExhausted;
      this.#countRefused(process, authority, headers, status);
      answerStatus(stream, status, message);
      return ignoredEvents;
    }
    const arrival = this.calls.openOutgoing(link, stream, headers, endStream);
    return arrival.outcome === "call" ? arrival.call : ignoredEvents;
  }

  #toEnvironment(
    stream: CallStream,
    headers: HeaderList,
    endStream: boolean,
    authority: string,
    client: Http2Client | undefined,
  ): CallEvents {
    if (client === undefined) {
      this.#noteAnswered(positiveInteger(headerValue(headers, callIdHeader)));
      this.#countRefused(environmentPeer, authority, headers, GrpcStatus.unavailable);
      const message = authorityUnreachable(authority, this.#directory, "it is no host:port");
      answerStatus(stream, GrpcStatus.unavailable, message);
      return ignoredEvents;
    }
    this.#noteEnvironment(positiveInteger(headerValue(headers, callIdHeader)));
    return passThrough({
      stream,
      headers: withoutContractHeaders(headers),
      endStream,
      client,
      authority,
      direction: "outbound",
      ledger: this.environment,
      book: this.book,
      unreachable: (reason) => authorityUnreachable(authority, this.#directory, reason),
      // What the environment answers is not part of the picture; what the application does with it shows in its state.
      onCrossing() {},
      onCancelled() {},
    });
  }

  /** Past the agents somebody might answer, as soon as the pod is ready; and no snapshot would see it. */
  #notServedNow(stream: CallStream, headers: HeaderList, authority: string, processId: string): CallEvents {
    this.#noteAnswered(positiveInteger(headerValue(headers, callIdHeader)));
    this.#countRefused(processId, authority, headers, GrpcStatus.unavailable);
    answerStatus(stream, GrpcStatus.unavailable, `${authority} is served by ${processId}, which is not ready`);
    return ignoredEvents;
  }

  /** No channel leads from a process to itself: to the agent, such a call comes from a peer without an agent. */
  #toItself(stream: CallStream, headers: HeaderList, endStream: boolean): CallEvents {
    const id = positiveInteger(headerValue(headers, callIdHeader));
    if (id !== undefined && this.confirmsReceipt) this.calls.noteOwn(id);
    return this.inboundConnection(this.#options.self.processId).onCall(stream, headers, endStream);
  }

  /** A call that the agent answers at once. */
  #countRefused(peer: string, authority: string, headers: HeaderList, status: string): void {
    const counted = this.book.begin("outbound", peer, authority, headerValue(headers, ":path") ?? "", headers);
    counted.answeredWith(status);
    counted.close({ sentBytes: 0, receivedBytes: 0 });
  }

  #noteEnvironment(id: number | undefined): void {
    if (id !== undefined && this.confirmsReceipt) this.calls.noteEnvironment(id);
  }

  #noteAnswered(id: number | undefined): void {
    if (id !== undefined && this.confirmsReceipt) this.calls.noteAnswered(id);
  }

  /** At start-up the directory is not there yet; a call made then must not be taken for one with the environment. */
  #afterDirectory(
    stream: CallStream,
    headers: HeaderList,
    endStream: boolean,
    connectTarget: string | undefined,
  ): CallEvents {
    let inner: CallEvents | undefined;
    const early: ((events: CallEvents) => void)[] = [];
    const pass = (event: (events: CallEvents) => void) => {
      if (inner === undefined) early.push(event);
      else event(inner);
    };
    stream.pause();
    this.#waitingForDirectory.push(() => {
      inner = this.#outbound(stream, headers, endStream, connectTarget);
      for (const event of early.splice(0)) event(inner);
      stream.resume();
    });
    return {
      onHeaders: (list, end) => pass((events) => events.onHeaders(list, end)),
      onData: (chunk) => pass((events) => events.onData(chunk)),
      onTrailers: (list) => pass((events) => events.onTrailers(list)),
      onEnd: () => pass((events) => events.onEnd()),
      onReset: (code, cause) => pass((events) => events.onReset(code, cause)),
      onDrain: () => pass((events) => events.onDrain()),
    };
  }
}
