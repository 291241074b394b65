import {
  type ChannelId,
  type CutEffect,
  type CutInput,
  type CutTrigger,
  createProcessState,
  numberMarker,
  type ProcessId,
  type SnapshotRef,
  snapshotKey,
  step,
} from "@cutline/protocol";
import { type Frame, Line } from "./line.ts";
import type { Actor, Arrived, LocalPicture, Wire, WorldEvent } from "./things.ts";

/**
 * Processes, applications and FIFO channels around the protocol: performs its effects in the order they come, and does
 * nothing by itself.
 */
export class World {
  readonly actors = new Map<ProcessId, Actor>();
  readonly wires = new Map<ChannelId, Wire>();
  readonly events: WorldEvent[] = [];
  /** Frames of calls that are no tokens, as a reset is: they need not be conserved. */
  readonly signs = new Set<string>();

  /** A process of that name that has crashed comes back as another incarnation. What it had reported stands. */
  addProcess(id: ProcessId): void {
    const before = this.actors.get(id);
    if (before?.standing === "here") throw new RangeError(`there is a process ${id} already`);
    this.actors.set(id, {
      id,
      incarnation: (before?.incarnation ?? 0) + 1,
      standing: "here",
      state: createProcessState(id),
      holding: new Set(),
      inbox: new Map(),
      capturing: new Map(),
      pictures: before?.pictures ?? new Map(),
    });
  }

  actor(id: ProcessId): Actor {
    const actor = this.actors.get(id);
    if (actor === undefined) throw new RangeError(`there is no process ${id}`);
    return actor;
  }

  wire(id: ChannelId): Wire {
    const wire = this.wires.get(id);
    if (wire === undefined) throw new RangeError(`there is no channel ${id}`);
    return wire;
  }

  /** Both channels of a link exist from now on; each end works with them from its own `openEnd` on. */
  addLink(one: ProcessId, other: ProcessId, name = ""): void {
    for (const [from, to] of bothWays(one, other)) {
      const id = `${from}>${to}${name}`;
      if (this.wires.has(id)) throw new RangeError(`there is a link of ${one} and ${other} already; name this one`);
      this.wires.set(id, { id, from, to, outbox: [], line: new Line(), state: "open" });
    }
  }

  openEnd(at: ProcessId, peer: ProcessId, name = ""): void {
    const incoming = `${peer}>${at}${name}`;
    this.actor(at).inbox.set(incoming, []);
    this.step(at, { type: "openOutgoing", channel: `${at}>${peer}${name}`, peer });
    this.step(at, { type: "openIncoming", channel: incoming, peer });
  }

  /** Both channels are dead for ever, with all that was on them. Those who are still here are told. */
  loseLink(one: ProcessId, other: ProcessId, name = ""): void {
    for (const [from, to] of bothWays(one, other)) {
      const wire = this.wire(`${from}>${to}${name}`);
      wire.state = "lost";
      this.#loseTokens(from, wire.outbox.splice(0));
      this.#loseTokens(
        to,
        this.#inbox(to, wire.id).map(({ token }) => token),
      );
      this.#loseTokens(
        to,
        wire.line.notArrived.flatMap((frame) => (frame.kind === "token" ? [frame.token] : [])),
      );
      wire.line.break();
      this.actor(to).inbox.delete(wire.id);
      for (const end of [from, to]) {
        if (this.actor(end).standing === "here") this.step(end, { type: "closeChannel", channel: wire.id });
      }
    }
  }

  /** The process and its links are gone. One that leaves in good order closes its links first and keeps its word. */
  remove(process: ProcessId, how: "crashed" | "left"): void {
    const actor = this.actor(process);
    if (how === "crashed") actor.standing = how;
    for (const wire of this.wires.values()) {
      if (wire.from !== process || wire.state === "lost") continue;
      this.loseLink(process, wire.to, wire.id.slice(`${process}>${wire.to}`.length));
    }
    this.#loseTokens(process, [...actor.holding]);
    actor.holding.clear();
    actor.standing = how;
    if (how === "crashed") this.events.push({ type: "crashed", process });
  }

  mint(process: ProcessId, token: string): void {
    this.actor(process).holding.add(token);
    this.events.push({ type: "minted", process, token });
  }

  /** The application sends a token; it waits in the outbox until `moveOutbox`. */
  write(channel: ChannelId, token: string): void {
    const wire = this.wire(channel);
    if (!this.actor(wire.from).holding.delete(token)) throw new RangeError(`${wire.from} does not hold ${token}`);
    wire.outbox.push(token);
    this.events.push({ type: "wrote", channel, token });
  }

  /** The oldest token of the outbox gets its number and is on its way. */
  moveOutbox(channel: ChannelId): void {
    const wire = this.wire(channel);
    if (wire.outbox.length === 0) throw new RangeError(`the outbox of ${channel} is empty`);
    this.step(wire.from, { type: "send", channel });
  }

  /** A peer that breaks the rules numbers a marker once more. */
  doubleMarker(channel: ChannelId, ref: SnapshotRef): void {
    const wire = this.wire(channel);
    const outgoing = this.actor(wire.from).state.outgoing.get(channel);
    if (outgoing === undefined) throw new RangeError(`the channel ${channel} is not open`);
    this.#putOnWire(channel, { kind: "marker", number: numberMarker(outgoing), ref });
  }

  /** The next frame of the channel reaches the receiving process, unless the link drops it. */
  arrive(channel: ChannelId): Frame | "duplicate" | "gap" {
    const wire = this.wire(channel);
    const frame = wire.line.next();
    if (frame === "nothing") throw new RangeError(`nothing is on its way on ${channel}`);
    if (frame === "duplicate" || frame === "gap") return frame;
    const { number } = frame;
    if (frame.kind === "marker") {
      this.step(wire.to, { type: "markerArrived", channel, number, ref: frame.ref });
    } else {
      this.#inbox(wire.to, channel).push({ number, token: frame.token, standing: "held" });
      this.step(wire.to, { type: "frameArrived", channel, number });
    }
    return frame;
  }

  /** Messages of a call that its reset has overtaken: received, as far as the channel goes, and held by nobody. */
  discard(channel: ChannelId, token: string): void {
    this.receive(channel, token);
    const { to } = this.wire(channel);
    this.actor(to).holding.delete(token);
    this.#loseTokens(to, [token]);
  }

  /** The application receives a token that has arrived and does not wait. */
  receive(channel: ChannelId, token: string): void {
    const { to } = this.wire(channel);
    const inbox = this.#inbox(to, channel);
    const at = inbox.findIndex((arrived) => arrived.token === token);
    const arrived = inbox[at];
    if (arrived === undefined) throw new RangeError(`${token} has not arrived on ${channel}`);
    if (arrived.standing === "held") throw new RangeError(`${token} waits behind a marker on ${channel}`);
    inbox.splice(at, 1);
    this.actor(to).holding.add(token);
    this.events.push({ type: "received", channel, token });
    this.step(to, { type: "delivered", channel, number: arrived.number });
  }

  start(process: ProcessId, ref: SnapshotRef, trigger: Exclude<CutTrigger, "marker">): void {
    this.step(process, { type: "start", ref, trigger });
  }

  /** The application's state is taken: this instant is the cut. */
  capture(process: ProcessId, ref: SnapshotRef): void {
    const actor = this.actor(process);
    const key = snapshotKey(ref);
    if (!actor.capturing.delete(key)) throw new RangeError(`${process} was not asked to capture for ${key}`);
    const picture = pictureOf(actor, key);
    picture.held = [...actor.holding].sort();
    for (const wire of this.wires.values()) {
      if (wire.from === process && actor.state.outgoing.has(wire.id)) picture.outbox.set(wire.id, [...wire.outbox]);
    }
    this.events.push({ type: "cut", process, key });
    const undelivered = new Map([...actor.inbox].map(([channel, inbox]) => [channel, inbox.map((a) => a.number)]));
    this.step(process, { type: "captured", ref, undelivered });
  }

  failCapture(process: ProcessId, ref: SnapshotRef): void {
    this.actor(process).capturing.delete(snapshotKey(ref));
    this.step(process, { type: "captureFailed", ref, code: "StateSourceFailed", message: "the scenario says so" });
  }

  end(process: ProcessId, ref: SnapshotRef): void {
    this.actor(process).capturing.delete(snapshotKey(ref));
    this.step(process, { type: "ended", ref });
  }

  step(process: ProcessId, input: CutInput): void {
    const actor = this.actor(process);
    for (const effect of step(actor.state, input).effects) this.#perform(actor, effect);
  }

  #perform(actor: Actor, effect: CutEffect): void {
    switch (effect.type) {
      case "numbered": {
        const token = this.wire(effect.channel).outbox.shift();
        if (token === undefined) throw new RangeError(`nothing was sent on ${effect.channel}`);
        this.#putOnWire(effect.channel, { kind: "token", number: effect.number, token });
        return;
      }
      case "sendMarker":
        this.#putOnWire(effect.channel, { kind: "marker", number: effect.number, ref: effect.ref });
        return;
      case "capture":
        actor.capturing.set(snapshotKey(effect.ref), effect.ref);
        return;
      case "deliver":
      case "hold": {
        const arrived = this.#inbox(actor.id, effect.channel).find((a) => a.number === effect.number);
        if (arrived === undefined) throw new RangeError(`${effect.channel} has no frame ${effect.number}`);
        arrived.standing = effect.type === "hold" ? "held" : "ready";
        return;
      }
      case "release":
        for (const arrived of this.#inbox(actor.id, effect.channel)) {
          if (effect.before === undefined || arrived.number < effect.before) arrived.standing = "ready";
        }
        return;
      case "record": {
        if (!actor.state.snapshots.has(snapshotKey(effect.ref))) throw new RangeError("recorded for what is over");
        const arrived = this.#inbox(actor.id, effect.channel).find((a) => a.number === effect.number);
        if (arrived === undefined) throw new RangeError(`${effect.channel} has no frame ${effect.number} to record`);
        const recorded = pictureOf(actor, snapshotKey(effect.ref)).recorded;
        recorded.set(effect.channel, [...(recorded.get(effect.channel) ?? []), { ...arrived }]);
        return;
      }
      case "reportCut":
        pictureOf(actor, snapshotKey(effect.report.ref)).cut = effect.report;
        return;
      case "reportChannel":
        pictureOf(actor, snapshotKey(effect.report.ref)).channels.set(effect.report.channel, effect.report);
        return;
      case "reportFailed":
        pictureOf(actor, snapshotKey(effect.ref)).failure = effect.code;
        return;
      case "forget": {
        // What is reported has left the process; the rest is dropped.
        const picture = pictureOf(actor, snapshotKey(effect.ref));
        for (const channel of picture.recorded.keys()) {
          if (!picture.channels.has(channel)) picture.recorded.delete(channel);
        }
        return;
      }
    }
  }

  #putOnWire(channel: ChannelId, frame: Frame): void {
    this.wire(channel).line.put(frame);
    this.events.push({ type: "numbered", channel, frame });
  }

  #loseTokens(process: ProcessId, tokens: readonly string[]): void {
    for (const token of tokens) this.events.push({ type: "lost", process, token });
  }

  #inbox(process: ProcessId, channel: ChannelId): Arrived[] {
    const inbox = this.actor(process).inbox.get(channel);
    if (inbox === undefined) throw new RangeError(`${process} has not opened ${channel}`);
    return inbox;
  }
}

function bothWays(one: ProcessId, other: ProcessId) {
  return [
    [one, other],
    [other, one],
  ] as const;
}

function pictureOf(actor: Actor, key: string): LocalPicture {
  const known = actor.pictures.get(key);
  if (known !== undefined) return known;
  const created: LocalPicture = {
    incarnation: actor.incarnation,
    cut: undefined,
    channels: new Map(),
    recorded: new Map(),
    outbox: new Map(),
    held: [],
    failure: undefined,
  };
  actor.pictures.set(key, created);
  return created;
}
