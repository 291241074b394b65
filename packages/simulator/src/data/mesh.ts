import {
  admitHello,
  afterBreak,
  beginDialling,
  type ClosingLink,
  type DialLimits,
  type Dialling,
  type DialOutcome,
  hearAnswer,
  type LinkGreeting,
  type LinkParty,
  linkProtocolVersion,
  MeshDirectory,
  mustSayGivenUp,
  nextDial,
} from "@cutline/protocol";
import type { Random } from "../engine/random.ts";
import { Connection, type Side } from "./connection.ts";
import { FrameError, type Link } from "./link.ts";
import type { SimProcess } from "./process.ts";
import { type Peer, partyOf, type WireFrame, wireTraits } from "./wire.ts";

export interface MeshLimits extends DialLimits {
  readonly handshakeTimeoutMs: number;
}

type LinkConnection = Connection<WireFrame>;

/** The links of one process, over the simulated network; the protocol says what becomes of them. */
export class Mesh {
  readonly #process: SimProcess;
  readonly #random: Random;
  readonly #limits: MeshLimits;
  readonly #connections = new Map<string, { readonly connection: LinkConnection; readonly side: Side }>();
  /** In their handshake. */
  readonly #greeting = new Map<LinkConnection, Side>();
  readonly #directory = new MeshDirectory<LinkParty>();
  #made = 0;

  constructor(process: SimProcess, random: Random, limits: MeshLimits) {
    this.#process = process;
    this.#random = random;
    this.#limits = limits;
  }

  knows(process: string): boolean {
    return this.#directory.get(process) !== undefined;
  }

  setDirectory({ version, processes }: { readonly version: number; readonly processes: readonly Peer[] }): void {
    if (this.#directory.replace(version, processes.map(partyOf), this.#isAlive) === "stale") return;
    this.#closeAll(this.#directory.linksOver(this.#process.links.values(), this.#isAlive));
  }

  /** Whoever answers on its link is there. */
  readonly #isAlive = (process: string): boolean =>
    [...this.#process.links.values()].some(({ peer, connected }) => peer.processId === process && connected);

  #closeAll(closing: readonly ClosingLink<Link>[]): void {
    for (const { link } of closing) this.#close(link);
  }

  #close(link: Link): void {
    const isUnheard = mustSayGivenUp(link);
    this.#process.closeLink(link);
    if (!isUnheard || !this.#process.alive || !this.knows(link.peer.processId)) return;
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
    world.carry(link.lane, link.peer.processId, connection);
  }

  #hello(link: Link, intent: { readonly resume: boolean; readonly giveUp: boolean }): WireFrame {
    const greeting: LinkGreeting = {
      protocolVersion: linkProtocolVersion,
      linkId: link.id,
      ...this.#self,
      peerProcessId: link.peer.processId,
      peerIncarnation: link.peer.incarnation,
      receivedThrough: link.receivedThrough,
      connection: link.countConnection(),
      ...intent,
    };
    return { type: "hello", lane: link.lane, greeting };
  }

  get #self(): LinkParty {
    return partyOf(this.#process.self);
  }

  /** Makes a link on that lane if there is none. It may be sent on at once. */
  open(lane: string, to: string): "open" | "unknownProcess" {
    const peer = this.#directory.get(to);
    if (peer === undefined) return "unknownProcess";
    for (const link of this.#process.links.values()) {
      if (link.lane === lane && link.role === "dialler" && link.peer.incarnation === peer.incarnation) return "open";
    }
    this.#made += 1;
    const id = `${lane}.${this.#process.self.inc}.${this.#made}`;
    const link = this.#process.openLink({ id, lane, peer, role: "dialler" });
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
    const turn = (dialling: Dialling) => {
      if (link.dead || !this.#process.alive) return;
      this.#dial(link, dialling.resume, (outcome) => {
        if (link.dead || !this.#process.alive) return;
        const next = nextDial(dialling, outcome, link, clock.nowMs, this.#limits);
        if (next.next === "giveUp") this.#close(link);
        else clock.after(next.afterMs, () => turn(next.dialling));
      });
    };
    turn(beginDialling(clock.nowMs, this.#limits));
  }

  /** One connection from its making to its end. */
  #dial(link: Link, resume: boolean, done: (outcome: DialOutcome) => void): void {
    const { world, clock } = this.#process;
    const quality = world.laneOf(link.lane);
    const connection: LinkConnection = new Connection(world.engine, this.#random, quality, wireTraits);
    let upSinceMs = clock.nowMs;
    let phase: "greeting" | "up" | "over" = "greeting";
    const over = (outcome: DialOutcome) => {
      if (phase === "over") return;
      phase = "over";
      timer.cancel();
      this.#greeting.delete(connection);
      done(outcome);
    };
    const lost = (): DialOutcome => ({ outcome: "lost", message: "lost", lastedMs: clock.nowMs - upSinceMs });
    const timer = clock.after(this.#limits.handshakeTimeoutMs, () => {
      if (phase !== "greeting") return;
      connection.close(0);
      over({ outcome: "failed", message: "no answer" });
    });
    const answered = (frame: WireFrame) => {
      if (frame.type !== "welcome" && frame.type !== "refusal") {
        connection.close(0);
        over({ outcome: "failed", message: `${frame.type} is no answer` });
        return;
      }
      const heard = hearAnswer(
        link,
        frame.type === "welcome" ? { type: "welcome", ...frame.from } : { ...frame, message: "" },
      );
      if (heard.outcome !== "up" || frame.type !== "welcome") {
        if (heard.outcome === "over") connection.send(0, { type: "refusal", code: "CLOSED" });
        connection.close(0);
        over({ outcome: heard.outcome === "failed" ? "failed" : "refused", message: heard.outcome });
        return;
      }
      phase = "up";
      upSinceMs = clock.nowMs;
      this.#greeting.delete(connection);
      if (this.#run(link, connection, 0, frame.receivedThrough) === "impossible") {
        over({ outcome: "refused", message: "the link cannot be resumed" });
      }
    };
    this.#greeting.set(connection, 0);
    connection.bind(0, {
      onFrame: (frame) => {
        if (phase === "up") this.#receive(link, connection, 0, frame, () => over(lost()));
        else if (phase === "greeting") answered(frame);
      },
      onClosed: () => {
        const outcome: DialOutcome = phase === "up" ? lost() : { outcome: "failed", message: "closed" };
        this.#closed(link, connection);
        over(outcome);
      },
    });
    connection.send(0, this.#hello(link, { resume, giveUp: false }));
    world.carry(link.lane, link.peer.processId, connection);
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
        connection.send(1, { type: "welcome", from: this.#self, receivedThrough: link.receivedThrough });
        this.#run(link, connection, 1, frame.greeting.receivedThrough);
      },
      onClosed: () => {
        this.#greeting.delete(connection);
        if (link !== undefined) this.#closed(link, connection);
      },
    });
  }

  #admit({ lane, greeting }: Extract<WireFrame, { type: "hello" }>): Link | string {
    const { processId, incarnation, linkId: id } = greeting;
    // One life of a peer has a link of its own on every lane: the others are no concern of this one.
    const links = [...this.#process.links.values()].filter(
      (link) => link.lane === lane || link.peer.incarnation !== incarnation,
    );
    const admission = admitHello(this.#self, links, greeting);
    if (admission.outcome === "resume") return admission.link;
    this.#closeAll(admission.closing);
    if (admission.outcome === "refuse") return admission.code;
    const link = this.#process.openLink({ id, lane, peer: { processId, incarnation }, role: "acceptor" });
    link.admit(greeting.connection);
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
        this.#lostConnection(link);
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
    this.#lostConnection(link);
    if (outcome === "other" || link.dead) return;
    const next = afterBreak(link, this.#directory.membershipOf(link.peer.processId), this.#limits);
    if (next.next === "close") this.#close(link);
    if (next.next !== "awaitResume") return;
    link.resumeTimer = this.#process.clock.after(next.withinMs, () => {
      if (this.#process.alive) this.#close(link);
    });
  }

  #lostConnection({ peer }: Link): void {
    const known = this.#directory.lostConnection(peer.processId, this.#process.links.values(), this.#isAlive);
    if (known.outcome === "forgotten") this.#closeAll(known.closing);
  }
}
