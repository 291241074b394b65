import type { Random } from "../engine/random.ts";
import { Connection, type Side } from "./connection.ts";
import { FrameError, type Link } from "./link.ts";
import type { SimProcess } from "./process.ts";
import { type Peer, type WireFrame, wireTraits } from "./wire.ts";

export interface MeshLimits {
  readonly handshakeTimeoutMs: number;
  readonly resumeTimeoutMs: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

type Refusal = "IDENTITY" | "INCARNATION" | "UNKNOWN_LINK" | "CLOSED" | "STALE";
type LinkConnection = Connection<WireFrame>;

/** The links of one process: dialling, admitting, resuming, giving up; as services/agent/src/dataplane/link/mesh.ts. */
export class Mesh {
  readonly #process: SimProcess;
  readonly #random: Random;
  readonly #limits: MeshLimits;
  readonly #connections = new Map<string, { readonly connection: LinkConnection; readonly side: Side }>();
  /** In their handshake. */
  readonly #greeting = new Map<LinkConnection, Side>();
  #directory = new Map<string, string>();
  #directoryKnown = false;
  /** Known by their links alone. */
  #unlisted = new Set<string>();
  #made = 0;

  constructor(process: SimProcess, random: Random, limits: MeshLimits) {
    this.#process = process;
    this.#random = random;
    this.#limits = limits;
  }

  knows(process: string): boolean {
    return this.#directory.has(process);
  }

  setDirectory(processes: readonly Peer[]): void {
    this.#directoryKnown = true;
    const listed = new Map(processes.map(({ process, inc }) => [process, inc]));
    const unlisted = [...this.#directory].filter(([process]) => !listed.has(process) && this.#isAlive(process));
    this.#directory = new Map([...unlisted, ...listed]);
    this.#unlisted = new Set(unlisted.map(([process]) => process));
    for (const link of [...this.#process.links.values()]) {
      const inc = this.#directory.get(link.peer.process);
      if (inc === undefined ? !this.#isAlive(link.peer.process) : inc !== link.peer.inc) this.#close(link);
    }
  }

  /** Whoever answers on its link is there. */
  #isAlive(process: string): boolean {
    return [...this.#process.links.values()].some(({ peer, connected }) => peer.process === process && connected);
  }

  /** Nobody lists it, and it does not answer any more. */
  #forgetUnlisted(process: string): void {
    if (!this.#unlisted.has(process) || this.#isAlive(process)) return;
    this.#unlisted.delete(process);
    this.#directory.delete(process);
  }

  /** A dialler without a connection says that the link is over, or its acceptor would wait for a resume. */
  #close(link: Link): void {
    const isUnheard = !link.dead && !link.connected && link.role === "dialler";
    this.#process.closeLink(link);
    if (!isUnheard || !this.#process.alive || !this.#directory.has(link.peer.process)) return;
    const { world, clock } = this.#process;
    const connection: LinkConnection = new Connection(world.engine, this.#random, world.laneOf(link.lane), wireTraits);
    const over = () => {
      timer.cancel();
      this.#greeting.delete(connection);
      connection.close(0);
    };
    const timer = clock.after(this.#limits.handshakeTimeoutMs, over);
    this.#greeting.set(connection, 0);
    connection.bind(0, { onFrame: over, onClosed: () => this.#greeting.delete(connection) });
    connection.send(0, this.#hello(link, { resume: true, giveUp: true }));
    world.carry(link.lane, link.peer.process, connection);
  }

  #hello(link: Link, intent: { readonly resume: boolean; readonly giveUp: boolean }): WireFrame {
    return {
      type: "hello",
      linkId: link.id,
      lane: link.lane,
      from: this.#process.self,
      to: link.peer,
      receivedThrough: link.receivedThrough,
      connection: link.countConnection(),
      ...intent,
    };
  }

  /** Makes a link on that lane if there is none. It may be sent on at once. */
  open(lane: string, to: string): "open" | "unknownProcess" {
    const inc = this.#directory.get(to);
    if (inc === undefined) return "unknownProcess";
    for (const link of this.#process.links.values()) {
      if (link.lane === lane && link.role === "dialler" && link.peer.inc === inc) return "open";
    }
    this.#made += 1;
    const id = `${lane}.${this.#process.self.inc}.${this.#made}`;
    const link = this.#process.openLink({ id, lane, peer: { process: to, inc }, role: "dialler" });
    this.#keepConnected(link);
    return "open";
  }

  /** The process is gone: what its connections carry may still get through. */
  stop(): void {
    for (const [connection, side] of this.#greeting) connection.close(side);
    for (const { connection, side } of this.#connections.values()) connection.close(side);
    this.#connections.clear();
    this.#greeting.clear();
  }

  #keepConnected(link: Link): void {
    const { clock } = this.#process;
    let brokenSinceMs = clock.nowMs;
    let pauseMs = this.#limits.retryMinMs;
    let resume = false;
    const turn = () => {
      if (link.dead || !this.#process.alive) return;
      const progressBefore = link.progress;
      const beganMs = clock.nowMs;
      this.#dial(link, resume, (outcome) => {
        if (link.dead || !this.#process.alive) return;
        if (outcome === "refused") {
          this.#close(link);
          return;
        }
        if (outcome === "lost") {
          resume = true;
          if (link.progress > progressBefore || clock.nowMs - beganMs >= this.#limits.retryMaxMs) {
            brokenSinceMs = clock.nowMs;
            pauseMs = this.#limits.retryMinMs;
          }
        }
        if (clock.nowMs - brokenSinceMs > this.#limits.resumeTimeoutMs) {
          this.#close(link);
          return;
        }
        clock.after(pauseMs, turn);
        pauseMs = Math.min(pauseMs * 2, this.#limits.retryMaxMs);
      });
    };
    turn();
  }

  /** One connection from its making to its end. */
  #dial(link: Link, resume: boolean, done: (outcome: "failed" | "refused" | "lost") => void): void {
    const { world, clock } = this.#process;
    const quality = world.laneOf(link.lane);
    const connection: LinkConnection = new Connection(world.engine, this.#random, quality, wireTraits);
    let phase: "greeting" | "up" | "over" = "greeting";
    const over = (outcome: "failed" | "refused" | "lost") => {
      if (phase === "over") return;
      phase = "over";
      timer.cancel();
      this.#greeting.delete(connection);
      done(outcome);
    };
    const timer = clock.after(this.#limits.handshakeTimeoutMs, () => {
      if (phase !== "greeting") return;
      connection.close(0);
      over("failed");
    });
    this.#greeting.set(connection, 0);
    connection.bind(0, {
      onFrame: (frame) => {
        if (phase === "up") this.#receive(link, connection, 0, frame, () => over("lost"));
        if (phase !== "greeting") return;
        if (frame.type !== "welcome" || link.dead) {
          connection.close(0);
          const isRefused = frame.type === "refusal" && frame.code !== "STALE";
          over(isRefused || link.dead ? "refused" : "failed");
          return;
        }
        phase = "up";
        this.#greeting.delete(connection);
        if (this.#run(link, connection, 0, frame.receivedThrough) === "impossible") over("refused");
      },
      onClosed: () => {
        const outcome = phase === "up" ? "lost" : "failed";
        this.#closed(link, connection);
        over(outcome);
      },
    });
    connection.send(0, this.#hello(link, { resume, giveUp: false }));
    world.carry(link.lane, link.peer.process, connection);
  }

  /** Somebody has dialled this process. */
  accept(connection: LinkConnection): void {
    let link: Link | undefined;
    this.#greeting.set(connection, 1);
    connection.bind(1, {
      onFrame: (frame) => {
        if (link !== undefined) {
          this.#receive(link, connection, 1, frame, () => undefined);
          return;
        }
        this.#greeting.delete(connection);
        const admitted = frame.type === "hello" ? this.#admit(frame) : "IDENTITY";
        if (typeof admitted === "string" || frame.type !== "hello") {
          connection.send(1, { type: "refusal", code: String(admitted) });
          connection.close(1);
          return;
        }
        link = admitted;
        connection.send(1, { type: "welcome", receivedThrough: link.receivedThrough });
        this.#run(link, connection, 1, frame.receivedThrough);
      },
      onClosed: () => {
        this.#greeting.delete(connection);
        if (link !== undefined) this.#closed(link, connection);
      },
    });
  }

  #admit(hello: Extract<WireFrame, { type: "hello" }>): Link | Refusal {
    const { self, links } = this.#process;
    if (hello.to.process !== self.process) return "IDENTITY";
    if (hello.to.inc !== self.inc) return "INCARNATION";
    const known = links.get(hello.linkId);
    if (known !== undefined) {
      if (known.peer.process !== hello.from.process || known.peer.inc !== hello.from.inc) return "IDENTITY";
      if (hello.giveUp) {
        this.#close(known);
        return "CLOSED";
      }
      return known.admit(hello.connection) === "stale" ? "STALE" : known;
    }
    if (hello.giveUp) return "CLOSED";
    if (hello.resume) return "UNKNOWN_LINK";
    for (const link of [...links.values()]) {
      if (link.peer.process !== hello.from.process) continue;
      if (link.peer.inc !== hello.from.inc) this.#close(link);
      else if (link.role === "acceptor" && link.lane === hello.lane && !link.connected) this.#close(link);
    }
    const { linkId: id, lane, from: peer } = hello;
    const link = this.#process.openLink({ id, lane, peer, role: "acceptor" });
    link.admit(hello.connection);
    return link;
  }

  #run(link: Link, connection: LinkConnection, side: Side, peerReceivedThrough: number): "running" | "impossible" {
    const before = this.#connections.get(link.id);
    before?.connection.close(before.side);
    this.#connections.set(link.id, { connection, side });
    link.resumeTimer?.cancel();
    link.resumeTimer = undefined;
    if (link.attach(connection, side, peerReceivedThrough) === "attached") return "running";
    this.#process.world.broke("I3", `link ${link.id} cannot be resumed: the peer says it has ${peerReceivedThrough}`);
    this.#process.closeLink(link);
    connection.close(side);
    return "impossible";
  }

  #receive(link: Link, connection: LinkConnection, side: Side, frame: WireFrame, lost: () => void): void {
    try {
      if (link.receive(frame) === "closedByPeer") {
        this.#process.closeLink(link);
        this.#forgetUnlisted(link.peer.process);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#process.world.fault("gap", `${this.#process.self.inc} on ${link.id}: ${error.message}`);
      connection.close(side);
      this.#closed(link, connection);
      lost();
    }
  }

  #closed(link: Link, connection: LinkConnection): void {
    if (this.#connections.get(link.id)?.connection === connection) this.#connections.delete(link.id);
    const outcome = link.detach(connection);
    this.#forgetUnlisted(link.peer.process);
    if (outcome === "other" || link.dead) return;
    if (this.#directoryKnown && !this.#directory.has(link.peer.process)) {
      this.#close(link);
      return;
    }
    if (link.role === "dialler") return;
    link.resumeTimer = this.#process.clock.after(this.#limits.resumeTimeoutMs + this.#limits.retryMaxMs, () => {
      if (this.#process.alive) this.#close(link);
    });
  }
}
