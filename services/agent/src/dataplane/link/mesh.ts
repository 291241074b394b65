import { randomUUID } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Directory } from "@cutline/proto/control";
import { LinkHello, LinkRefusal, LinkWelcome } from "@cutline/proto/link";
import {
  admitHello,
  afterBreak,
  beginDialling,
  type ClosingLink,
  type DialLimits,
  type DialOutcome,
  type HelloAnswer,
  hearAnswer,
  type LinkParty,
  linkProtocolVersion,
  mustSayGivenUp,
  nextDial,
} from "@cutline/protocol";
import { describeError, type Logger } from "@cutline/runtime";
import type { Driver } from "../../driver.ts";
import { FrameError, FrameType } from "./codec.ts";
import { FrameConnection, type ReceivedFrame } from "./handshake.ts";
import { KnownProcesses } from "./known-processes.ts";
import type { Link } from "./link.ts";
import { type IncomingConnection, isTlsRefusal, type LinkSecurity, LinkTransport } from "./transport.ts";

/** `resumeTimeoutMs` 30 s, `retryMinMs` 50 ms and `retryMaxMs` 2 s by default. */
export interface MeshLimits extends DialLimits {
  /** From connecting to the welcome. Default 5 s. */
  readonly handshakeTimeoutMs: number;
  /** A ping goes out this often; after three of them unanswered the connection is given up. Default 5 s. */
  readonly pingIntervalMs: number;
  /** Connections from other agents at a time. Default 4096. */
  readonly connectionsMax: number;
}

export const defaultMeshLimits: MeshLimits = {
  handshakeTimeoutMs: 5_000,
  resumeTimeoutMs: 30_000,
  retryMinMs: 50,
  retryMaxMs: 2_000,
  pingIntervalMs: 5_000,
  connectionsMax: 4_096,
};

/** The links to other agents: who is there, how to reach them, and the connections under the links. */
export class Mesh {
  readonly #self: LinkParty;
  readonly #driver: Driver;
  readonly #limits: MeshLimits;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #transport: LinkTransport;
  readonly #stopping = new AbortController();
  readonly #resumeTimers = new Map<string, NodeJS.Timeout>();
  readonly #connections = new Map<string, FrameConnection>();
  readonly #pinger: NodeJS.Timeout;
  readonly #known: KnownProcesses;
  /** Connections that have not become a link's yet. */
  readonly #shakingHands = new Set<Socket>();

  constructor(
    self: LinkParty,
    driver: Driver,
    limits: MeshLimits,
    security: LinkSecurity,
    logger: Logger,
    now: () => number,
  ) {
    this.#self = self;
    this.#known = new KnownProcesses(self.processId.slice(0, self.processId.indexOf("/")));
    this.#driver = driver;
    this.#limits = limits;
    this.#logger = logger;
    this.#now = now;
    this.#transport = new LinkTransport({ ...security, ...limits }, (connection) => {
      const { socket } = connection;
      this.#accept(connection).catch((error) => {
        this.#logger.warn({ error, peer: socket.remoteAddress }, "a connection for a link was refused");
        socket.destroy();
      });
    });
    this.#pinger = setInterval(() => this.#ping(), limits.pingIntervalMs);
    this.#pinger.unref();
  }

  listen(host: string, port: number): Promise<AddressInfo> {
    return this.#transport.listen(host, port);
  }

  /** Replaces what is known of the mesh. Links to processes that have restarted or gone are given up. */
  setDirectory(directory: Directory): void {
    if (this.#known.replace(directory, this.#isAlive) === "stale") return;
    this.#closeAll(this.#known.linksOver(this.#driver.links.values(), this.#isAlive));
  }

  /** The process to send the next call for this authority to, in turn. `undefined`: nobody in the mesh serves it. */
  processFor(authority: string): string | undefined {
    return this.#known.serving(authority);
  }

  /** Which process would serve it, when none does, and that one takes no new calls now. */
  closedAt(authority: string): string | undefined {
    return this.#known.closedAt(authority);
  }

  /** The link to a process, made now if there is none. It may be sent on at once. */
  linkTo(processId: string): Link | undefined {
    const process = this.#known.get(processId);
    if (process === undefined) return undefined;
    for (const link of this.#driver.links.values()) {
      if (link.peer.processId === processId && link.peer.incarnation === process.incarnation) return link;
    }
    const peer = { processId, incarnation: process.incarnation };
    const link = this.#driver.openLink({ id: randomUUID(), peer, role: "dialler" });
    this.#keepConnected(link).catch((error) => {
      this.#close(link, `the link to ${processId} failed: ${describeError(error)}`);
    });
    return link;
  }

  /** Whether the process has been heard of lately, on any link. */
  readonly #isAlive = (processId: string): boolean => {
    const sinceMs = this.#now() - 1.5 * this.#limits.pingIntervalMs;
    for (const link of this.#driver.links.values()) {
      const connection = link.peer.processId === processId ? this.#connections.get(link.id) : undefined;
      if (connection !== undefined && connection.lastReceivedAtMs > sinceMs) return true;
    }
    return false;
  };

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#pinger);
    for (const timer of this.#resumeTimers.values()) clearTimeout(timer);
    for (const link of [...this.#driver.links.values()]) this.#close(link, "the agent stops");
    for (const socket of this.#shakingHands) socket.destroy();
    for (const connection of this.#connections.values()) connection.socket.destroySoon();
    await this.#transport.close();
  }

  /** Dials, and dials again whenever the connection breaks, until the link is dead. */
  async #keepConnected(link: Link): Promise<void> {
    let dialling = beginDialling(this.#now(), this.#limits);
    while (!link.dead && !this.#stopping.signal.aborted) {
      const outcome = await this.#dial(link, dialling.resume);
      const next = nextDial(dialling, outcome, link, this.#now(), this.#limits);
      if (next.next === "giveUp") {
        this.#close(link, next.reason);
        return;
      }
      this.#logger.debug(
        { linkId: link.id, peer: link.peer.processId, reason: outcome.message },
        "a link is not up yet",
      );
      await delay(next.afterMs, undefined, { signal: this.#stopping.signal }).catch(() => "stopping");
      dialling = next.dialling;
    }
  }

  /** One connection from its making to its end. */
  async #dial(link: Link, resume: boolean): Promise<DialOutcome> {
    const address = this.#known.addressOf(link.peer.processId);
    if (address === undefined) return { outcome: "failed", message: "its address is not known" };
    const dialled = await this.#transport.dial(address, link.peer.processId);
    // A link that has been up waits for certificates to be mended; calls on a new one fail at once, and say why.
    if (dialled.outcome !== "dialled") return resume ? { ...dialled, outcome: "failed" } : dialled;
    const { socket } = dialled;
    const connection = this.#shakeHands(socket);
    try {
      connection.write(FrameType.hello, this.#hello(link, { resume, giveUp: false }));
      const answer = decodeAnswer(await connection.next(this.#limits.handshakeTimeoutMs));
      const heard = hearAnswer(link, answer);
      if (answer.type === "refusal") {
        this.#logger.warn(
          { linkId: link.id, peer: link.peer.processId, code: answer.code, reason: answer.message },
          "a link was refused",
        );
      }
      if (heard.outcome === "up") return await this.#run(link, connection, answer.receivedThrough);
      if (heard.outcome === "over") this.#refuse(connection, { code: "CLOSED", message: "the link is over" });
      else socket.destroy();
      const mayMend = heard.outcome === "failed" || (resume && answer.type === "refusal" && isTlsRefusal(answer.code));
      return { outcome: mayMend ? "failed" : "refused", message: heard.message };
    } catch (error) {
      socket.destroy();
      return { outcome: "failed", message: describeError(error) };
    }
  }

  #hello(link: Link, intent: { readonly resume: boolean; readonly giveUp: boolean }): Uint8Array {
    return LinkHello.encode({
      protocolVersion: linkProtocolVersion,
      linkId: link.id,
      processId: this.#self.processId,
      incarnation: this.#self.incarnation,
      peerProcessId: link.peer.processId,
      peerIncarnation: link.peer.incarnation,
      receivedThrough: link.receivedThrough,
      connection: link.countConnection(),
      ...intent,
    }).finish();
  }

  #close(link: Link, reason: string): void {
    const isUnheard = mustSayGivenUp(link);
    const address = this.#known.addressOf(link.peer.processId);
    this.#driver.closeLink(link, reason);
    if (!isUnheard || address === undefined || this.#stopping.signal.aborted) return;
    this.#tellGivenUp(link, address).catch((error) => {
      this.#logger.debug({ linkId: link.id, reason: describeError(error) }, "a peer did not hear that a link is over");
    });
  }

  #closeAll(closing: readonly ClosingLink<Link>[]): void {
    for (const { link, reason } of closing) this.#close(link, reason);
  }

  async #tellGivenUp(link: Link, address: { host: string; port: number }): Promise<void> {
    const dialled = await this.#transport.dial(address, link.peer.processId);
    if (dialled.outcome !== "dialled") throw new FrameError(dialled.message);
    const { socket } = dialled;
    const connection = this.#shakeHands(socket);
    try {
      connection.write(FrameType.hello, this.#hello(link, { resume: true, giveUp: true }));
      await connection.next(this.#limits.handshakeTimeoutMs);
    } finally {
      socket.destroy();
    }
  }

  async #accept({ socket, check, onRefused }: IncomingConnection): Promise<void> {
    const connection = this.#shakeHands(socket);
    const first = await connection.next(this.#limits.handshakeTimeoutMs);
    if (first.type === FrameType.refusal) {
      onRefused(LinkRefusal.decode(first.payload));
      socket.destroy();
      return;
    }
    if (first.type !== FrameType.hello) throw new FrameError(`expected a hello, got frame type ${first.type}`);
    const hello = LinkHello.decode(first.payload);
    const impostor = check(hello.processId);
    if (impostor !== undefined) {
      this.#refuse(connection, impostor);
      return;
    }
    const admission = admitHello(this.#self, this.#driver.links.values(), hello);
    if (admission.outcome !== "resume") this.#closeAll(admission.closing);
    if (admission.outcome === "refuse") {
      const { code, message } = admission;
      this.#logger.warn({ peer: hello.processId, linkId: hello.linkId, code, reason: message }, "a link was refused");
      this.#refuse(connection, { code, message });
      return;
    }
    const link = admission.outcome === "resume" ? admission.link : this.#open(hello);
    connection.write(
      FrameType.welcome,
      LinkWelcome.encode({
        protocolVersion: linkProtocolVersion,
        ...this.#self,
        receivedThrough: link.receivedThrough,
      }).finish(),
    );
    await this.#run(link, connection, hello.receivedThrough);
  }

  #open({ linkId, processId, incarnation, connection }: LinkHello): Link {
    const link = this.#driver.openLink({ id: linkId, peer: { processId, incarnation }, role: "acceptor" });
    link.admit(connection);
    return link;
  }

  #refuse(connection: FrameConnection, refusal: LinkRefusal): void {
    connection.write(FrameType.refusal, LinkRefusal.encode(refusal).finish());
    connection.refuse(this.#limits.handshakeTimeoutMs);
  }

  #shakeHands(socket: Socket): FrameConnection {
    this.#shakingHands.add(socket);
    socket.once("close", () => this.#shakingHands.delete(socket));
    return new FrameConnection(socket, this.#now);
  }

  /** Puts the link on the connection and stays until the connection ends. */
  async #run(link: Link, connection: FrameConnection, peerReceivedThrough: number): Promise<DialOutcome> {
    const { socket } = connection;
    const sinceMs = this.#now();
    this.#shakingHands.delete(socket);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    // A new connection for the same link takes over from one that the peer has given up already.
    this.#connections.get(link.id)?.socket.destroy();
    this.#connections.set(link.id, connection);
    clearTimeout(this.#resumeTimers.get(link.id));
    this.#resumeTimers.delete(link.id);
    if (link.attach(socket, peerReceivedThrough) === "impossible") {
      this.#close(link, `process ${link.peer.processId} lost frames it had acknowledged`);
      socket.destroy();
      return { outcome: "refused", message: "the link cannot be resumed" };
    }
    this.#logger.info({ linkId: link.id, peer: link.peer.processId, role: link.role }, "link connected");
    try {
      connection.receiveWith((type, flags, number, callId, payload) =>
        link.receive(type, flags, number, callId, payload),
      );
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new FrameError(String(error)));
    }
    await closed;
    if (this.#connections.get(link.id) === connection) this.#connections.delete(link.id);
    const { processId } = link.peer;
    this.#closeAll(this.#known.lostConnection(processId, this.#driver.links.values(), this.#isAlive));
    const reason = connection.failure === undefined ? "closed by the peer" : describeError(connection.failure);
    if (link.detach(socket) === "detached" && !link.dead) {
      this.#logger.info({ linkId: link.id, peer: link.peer.processId, reason }, "link broken");
      this.#awaitResume(link);
    }
    return { outcome: "lost", message: reason, lastedMs: this.#now() - sinceMs };
  }

  #awaitResume(link: Link): void {
    const next = afterBreak(link, this.#known.membershipOf(link.peer.processId), this.#limits);
    if (next.next === "close") this.#close(link, next.reason);
    if (next.next !== "awaitResume") return;
    const timer = setTimeout(() => {
      this.#resumeTimers.delete(link.id);
      this.#close(link, next.reason);
    }, next.withinMs);
    timer.unref();
    this.#resumeTimers.set(link.id, timer);
  }

  #ping(): void {
    const deadlineMs = this.#now() - 3 * this.#limits.pingIntervalMs;
    for (const [linkId, connection] of this.#connections) {
      if (connection.lastReceivedAtMs < deadlineMs) {
        connection.socket.destroy(new FrameError("the peer has been silent for three pings"));
      } else this.#driver.links.get(linkId)?.ping();
    }
  }
}

function decodeAnswer({ type, payload }: ReceivedFrame): HelloAnswer & { readonly receivedThrough: number } {
  if (type === FrameType.refusal) return { type: "refusal", ...LinkRefusal.decode(payload), receivedThrough: 0 };
  if (type === FrameType.welcome) return { type: "welcome", ...LinkWelcome.decode(payload) };
  throw new FrameError(`expected a welcome, got frame type ${type}`);
}
