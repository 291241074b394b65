import { randomUUID } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Directory } from "@cutline/proto/control";
import { LinkHello, LinkRefusal, LinkWelcome } from "@cutline/proto/link";
import { describeError, type Logger } from "@cutline/runtime";
import type { Driver } from "../../driver.ts";
import { FrameError, FrameType } from "./codec.ts";
import { FrameConnection } from "./handshake.ts";
import { KnownProcesses } from "./known-processes.ts";
import type { Link } from "./link.ts";

/** Bytes on links between agents; both ends must name the same. */
export const linkProtocolVersion = 1;

export interface MeshLimits {
  /** From connecting to the welcome. Default 5 s. */
  readonly handshakeTimeoutMs: number;
  /** How long a broken link is kept for a resume. Default 30 s. */
  readonly resumeTimeoutMs: number;
  /** First and longest pause between tries to connect. Defaults 50 ms and 2 s. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
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

export interface MeshSelf {
  readonly processId: string;
  readonly incarnation: string;
}

/** The links to other agents: who is there, how to reach them, and the connections under the links. */
export class Mesh {
  readonly #self: MeshSelf;
  readonly #driver: Driver;
  readonly #limits: MeshLimits;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #server: Server;
  readonly #stopping = new AbortController();
  readonly #resumeTimers = new Map<string, NodeJS.Timeout>();
  readonly #connections = new Map<string, FrameConnection>();
  readonly #pinger: NodeJS.Timeout;
  readonly #known = new KnownProcesses();
  /** Connections that have not become a link's yet. */
  readonly #shakingHands = new Set<Socket>();

  constructor(self: MeshSelf, driver: Driver, limits: MeshLimits, logger: Logger, now: () => number) {
    this.#self = self;
    this.#driver = driver;
    this.#limits = limits;
    this.#logger = logger;
    this.#now = now;
    this.#server = createServer((socket) => {
      this.#accept(socket).catch((error) => {
        this.#logger.warn({ error, peer: socket.remoteAddress }, "a connection for a link was refused");
        socket.destroy();
      });
    });
    this.#server.maxConnections = limits.connectionsMax;
    this.#pinger = setInterval(() => this.#ping(), limits.pingIntervalMs);
    this.#pinger.unref();
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    return this.#server.address() as AddressInfo;
  }

  /** Replaces what is known of the mesh. Links to processes that have restarted or gone are given up. */
  setDirectory(directory: Directory): void {
    if (this.#known.replace(directory, (processId) => this.#isAlive(processId)) === "stale") return;
    for (const link of [...this.#driver.links.values()]) {
      const { processId, incarnation } = link.peer;
      const process = this.#known.get(processId);
      if (process === undefined && !this.#isAlive(processId)) {
        this.#close(link, `process ${processId} has left`);
      } else if (process !== undefined && process.incarnation !== incarnation) {
        this.#close(link, `process ${processId} was restarted`);
      }
    }
  }

  /** The process to send the next call for this authority to, in turn. `undefined`: nobody in the mesh serves it. */
  processFor(authority: string): string | undefined {
    return this.#known.serving(authority);
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
  #isAlive(processId: string): boolean {
    const sinceMs = this.#now() - 1.5 * this.#limits.pingIntervalMs;
    for (const link of this.#driver.links.values()) {
      const connection = link.peer.processId === processId ? this.#connections.get(link.id) : undefined;
      if (connection !== undefined && connection.lastReceivedAtMs > sinceMs) return true;
    }
    return false;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#pinger);
    for (const timer of this.#resumeTimers.values()) clearTimeout(timer);
    for (const link of [...this.#driver.links.values()]) this.#close(link, "the agent stops");
    for (const socket of this.#shakingHands) socket.destroy();
    for (const connection of this.#connections.values()) connection.socket.destroySoon();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Dials, and dials again whenever the connection breaks, until the link is dead. */
  async #keepConnected(link: Link): Promise<void> {
    let brokenSinceMs = this.#now();
    let pauseMs = this.#limits.retryMinMs;
    let resume = false;
    while (!link.dead && !this.#stopping.signal.aborted) {
      const progressBefore = link.progress;
      const outcome = await this.#dial(link, resume);
      if (outcome.outcome === "refused") {
        this.#close(link, outcome.message);
        return;
      }
      if (outcome.outcome === "lost") {
        resume = true;
        // A connection that breaks as soon as it is made is no better than none.
        if (link.progress > progressBefore || outcome.lastedMs >= this.#limits.retryMaxMs) {
          brokenSinceMs = this.#now();
          pauseMs = this.#limits.retryMinMs;
        }
      }
      if (this.#now() - brokenSinceMs > this.#limits.resumeTimeoutMs) {
        this.#close(link, `process ${link.peer.processId} cannot be reached: ${outcome.message}`);
        return;
      }
      this.#logger.debug(
        { linkId: link.id, peer: link.peer.processId, reason: outcome.message },
        "a link is not up yet",
      );
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => "stopping");
      pauseMs = Math.min(pauseMs * 2, this.#limits.retryMaxMs);
    }
  }

  /** One connection from its making to its end. `lost`: it was up. */
  async #dial(link: Link, resume: boolean): Promise<DialOutcome> {
    const address = this.#known.addressOf(link.peer.processId);
    if (address === undefined) return { outcome: "failed", message: "its address is not known" };
    const socket = connect({ ...address, noDelay: true });
    const connection = this.#shakeHands(socket);
    try {
      connection.write(FrameType.hello, this.#hello(link, { resume, giveUp: false }));
      const answer = await connection.next(this.#limits.handshakeTimeoutMs);
      if (answer.type === FrameType.refusal) {
        const refusal = LinkRefusal.decode(answer.payload);
        const message = `process ${link.peer.processId} refused the link: ${refusal.code}, ${refusal.message}`;
        this.#logger.warn(
          { linkId: link.id, peer: link.peer.processId, code: refusal.code, reason: refusal.message },
          "a link was refused",
        );
        socket.destroy();
        // A connection made since has the link.
        return { outcome: refusal.code === "STALE" ? "failed" : "refused", message };
      }
      if (answer.type !== FrameType.welcome) throw new FrameError(`expected a welcome, got frame type ${answer.type}`);
      const welcome = LinkWelcome.decode(answer.payload);
      if (welcome.processId !== link.peer.processId || welcome.incarnation !== link.peer.incarnation) {
        socket.destroy();
        return { outcome: "refused", message: `process ${link.peer.processId} is not who answered` };
      }
      if (link.dead) {
        connection.write(
          FrameType.refusal,
          LinkRefusal.encode({ code: "CLOSED", message: "the link is over" }).finish(),
        );
        connection.refuse(this.#limits.handshakeTimeoutMs);
        return { outcome: "refused", message: "the link was closed" };
      }
      return await this.#run(link, connection, welcome.receivedThrough);
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
    const isUnheard = !link.dead && !link.connected && link.role === "dialler";
    const address = this.#known.addressOf(link.peer.processId);
    this.#driver.closeLink(link, reason);
    if (!isUnheard || address === undefined || this.#stopping.signal.aborted) return;
    // The acceptor would wait for a resume, and every snapshot meanwhile for a marker that never comes.
    this.#tellGivenUp(link, address).catch((error) => {
      this.#logger.debug({ linkId: link.id, reason: describeError(error) }, "a peer did not hear that a link is over");
    });
  }

  async #tellGivenUp(link: Link, address: { host: string; port: number }): Promise<void> {
    const socket = connect({ ...address, noDelay: true });
    const connection = this.#shakeHands(socket);
    try {
      connection.write(FrameType.hello, this.#hello(link, { resume: true, giveUp: true }));
      await connection.next(this.#limits.handshakeTimeoutMs);
    } finally {
      socket.destroy();
    }
  }

  async #accept(socket: Socket): Promise<void> {
    const connection = this.#shakeHands(socket);
    const first = await connection.next(this.#limits.handshakeTimeoutMs);
    if (first.type !== FrameType.hello) throw new FrameError(`expected a hello, got frame type ${first.type}`);
    const hello = LinkHello.decode(first.payload);
    const admitted = this.#admit(hello);
    if ("code" in admitted) {
      const { code, message } = admitted;
      this.#logger.warn({ peer: hello.processId, linkId: hello.linkId, code, reason: message }, "a link was refused");
      connection.write(FrameType.refusal, LinkRefusal.encode(admitted).finish());
      connection.refuse(this.#limits.handshakeTimeoutMs);
      return;
    }
    connection.write(
      FrameType.welcome,
      LinkWelcome.encode({
        protocolVersion: linkProtocolVersion,
        processId: this.#self.processId,
        incarnation: this.#self.incarnation,
        receivedThrough: admitted.receivedThrough,
      }).finish(),
    );
    await this.#run(admitted, connection, hello.receivedThrough);
  }

  #admit(hello: LinkHello): Link | LinkRefusal {
    const { processId, incarnation } = this.#self;
    if (hello.protocolVersion !== linkProtocolVersion) {
      const message = `${processId} speaks link protocol ${linkProtocolVersion}, ${hello.processId} speaks ${hello.protocolVersion}`;
      return { code: "VERSION", message };
    }
    if (hello.peerProcessId !== processId) {
      return { code: "IDENTITY", message: `this is ${processId}, not ${hello.peerProcessId}` };
    }
    if (hello.peerIncarnation !== incarnation) {
      return { code: "INCARNATION", message: `${processId} was restarted: it is ${incarnation} now` };
    }
    const known = this.#driver.links.get(hello.linkId);
    if (known !== undefined) return this.#admitAgain(known, hello);
    if (hello.giveUp) return { code: "CLOSED", message: `link ${hello.linkId} is not known any more` };
    if (hello.resume) return { code: "UNKNOWN_LINK", message: `${processId} has given up link ${hello.linkId}` };
    const peer = { processId: hello.processId, incarnation: hello.incarnation };
    for (const link of [...this.#driver.links.values()]) {
      if (link.peer.processId !== peer.processId) continue;
      if (link.peer.incarnation !== peer.incarnation) {
        this.#close(link, `process ${peer.processId} was restarted`);
      } else if (link.role === "acceptor" && !link.connected) {
        // A peer that makes a new link has given the one before up.
        this.#close(link, `process ${peer.processId} has made a new link`);
      }
    }
    const link = this.#driver.openLink({ id: hello.linkId, peer, role: "acceptor" });
    link.admit(hello.connection);
    return link;
  }

  #admitAgain(link: Link, hello: LinkHello): Link | LinkRefusal {
    if (link.peer.processId !== hello.processId || link.peer.incarnation !== hello.incarnation) {
      return { code: "IDENTITY", message: `link ${link.id} belongs to another process` };
    }
    if (hello.giveUp) {
      const message = `process ${link.peer.processId} has given the link up`;
      this.#close(link, message);
      return { code: "CLOSED", message };
    }
    if (link.admit(hello.connection) === "stale") {
      return { code: "STALE", message: `connection ${hello.connection} of link ${link.id} came after a later one` };
    }
    return link;
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
      connection.receiveWith(({ type, flags, number, callId, payload }) =>
        link.receive(type, flags, number, callId, payload),
      );
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new FrameError(String(error)));
    }
    await closed;
    if (this.#connections.get(link.id) === connection) this.#connections.delete(link.id);
    this.#forgetIfGone(link.peer.processId);
    const reason = connection.failure === undefined ? "closed by the peer" : describeError(connection.failure);
    if (link.detach(socket) === "detached" && !link.dead) {
      this.#logger.info({ linkId: link.id, peer: link.peer.processId, reason }, "link broken");
      this.#awaitResume(link);
    }
    return { outcome: "lost", message: reason, lastedMs: this.#now() - sinceMs };
  }

  /** A process that nobody lists was there for as long as it answered. */
  #forgetIfGone(processId: string): void {
    if (this.#isAlive(processId) || this.#known.forgetUnlisted(processId) === "kept") return;
    for (const link of [...this.#driver.links.values()]) {
      if (link.peer.processId === processId) this.#close(link, `process ${processId} has left`);
    }
  }

  /** The acceptor cannot dial: it waits, for as long as the dialler tries and a little longer. */
  #awaitResume(link: Link): void {
    if (this.#known.isAbsent(link.peer.processId)) {
      this.#close(link, `process ${link.peer.processId} has left`);
      return;
    }
    if (link.role === "dialler") return;
    const timer = setTimeout(() => {
      this.#resumeTimers.delete(link.id);
      this.#close(link, `process ${link.peer.processId} did not resume the link`);
    }, this.#limits.resumeTimeoutMs + this.#limits.retryMaxMs);
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

type DialOutcome =
  | { readonly outcome: "lost"; readonly message: string; readonly lastedMs: number }
  | { readonly outcome: "failed"; readonly message: string }
  /** The link is over. */
  | { readonly outcome: "refused"; readonly message: string };
