import {
  type ChannelFacts,
  type ChannelId,
  type CutEffect,
  type CutFacts,
  type CutInput,
  type CutTrigger,
  createProcessState,
  numberMarker,
  type ProcessId,
  type ProcessState,
  type SnapshotRef,
  snapshotKey,
  step,
} from "@cutline/protocol";

/** What travels on a channel. A token is an application message that exists once in the whole world. */
type Frame =
  | { readonly kind: "token"; readonly number: number; readonly token: string }
  | { readonly kind: "marker"; readonly number: number; readonly ref: SnapshotRef };

/** One channel: the sender's outbox, and the frames on their way in the order in which they were numbered. */
export interface Wire {
  readonly id: ChannelId;
  readonly from: ProcessId;
  readonly to: ProcessId;
  readonly outbox: string[];
  readonly frames: Frame[];
}

export interface Arrived {
  readonly number: number;
  readonly token: string;
  standing: "ready" | "held";
}

/** What happened, in the order of one clock that no process has. The observer judges by this alone. */
export type WorldEvent =
  | { readonly type: "wrote" | "received"; readonly channel: ChannelId; readonly token: string }
  | { readonly type: "numbered"; readonly channel: ChannelId; readonly frame: Frame }
  | { readonly type: "cut"; readonly process: ProcessId; readonly key: string };

/** What one process has handed over for one snapshot. */
export interface LocalPicture {
  cut: CutFacts | undefined;
  readonly channels: Map<ChannelId, ChannelFacts>;
  readonly recorded: Map<ChannelId, { readonly number: number; readonly token: string }[]>;
  readonly outbox: Map<ChannelId, readonly string[]>;
  held: readonly string[];
  failure: string | undefined;
}

export interface Actor {
  readonly id: ProcessId;
  readonly state: ProcessState;
  /** The application's tokens. */
  readonly holding: Set<string>;
  /** Arrived and not received, by channel. */
  readonly inbox: Map<ChannelId, Arrived[]>;
  /** Captures asked for and not answered. */
  readonly capturing: Map<string, SnapshotRef>;
  readonly pictures: Map<string, LocalPicture>;
}

/**
 * Processes, applications and FIFO channels around the protocol: performs its effects in the order they come, and does
 * nothing by itself.
 */
export class World {
  readonly actors = new Map<ProcessId, Actor>();
  readonly wires = new Map<ChannelId, Wire>();
  readonly events: WorldEvent[] = [];

  addProcess(id: ProcessId): void {
    this.actors.set(id, {
      id,
      state: createProcessState(id),
      holding: new Set(),
      inbox: new Map(),
      capturing: new Map(),
      pictures: new Map(),
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
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const id = `${from}>${to}${name}`;
      this.wires.set(id, { id, from, to, outbox: [], frames: [] });
    }
  }

  openEnd(at: ProcessId, peer: ProcessId, name = ""): void {
    const incoming = `${peer}>${at}${name}`;
    this.actor(at).inbox.set(incoming, []);
    this.step(at, { type: "openOutgoing", channel: `${at}>${peer}${name}`, peer });
    this.step(at, { type: "openIncoming", channel: incoming, peer });
  }

  loseLink(one: ProcessId, other: ProcessId): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const id = `${from}>${to}`;
      this.wires.delete(id);
      this.actor(to).inbox.delete(id);
      this.step(from, { type: "closeChannel", channel: id });
      this.step(to, { type: "closeChannel", channel: id });
    }
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

  /** The next frame of the channel reaches the receiving process. */
  arrive(channel: ChannelId): Frame {
    const wire = this.wire(channel);
    const frame = wire.frames.shift();
    if (frame === undefined) throw new RangeError(`nothing is on its way on ${channel}`);
    const { number } = frame;
    if (frame.kind === "marker") {
      this.step(wire.to, { type: "markerArrived", channel, number, ref: frame.ref });
    } else {
      this.#inbox(wire.to, channel).push({ number, token: frame.token, standing: "held" });
      this.step(wire.to, { type: "frameArrived", channel, number });
    }
    return frame;
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
    this.wire(channel).frames.push(frame);
    this.events.push({ type: "numbered", channel, frame });
  }

  #inbox(process: ProcessId, channel: ChannelId): Arrived[] {
    const inbox = this.actor(process).inbox.get(channel);
    if (inbox === undefined) throw new RangeError(`${process} has not opened ${channel}`);
    return inbox;
  }
}

function pictureOf(actor: Actor, key: string): LocalPicture {
  const known = actor.pictures.get(key);
  if (known !== undefined) return known;
  const created: LocalPicture = {
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
