import {
  type ChannelId,
  type CutEffect,
  type CutInput,
  type CutLimits,
  createProcessState,
  defaultCutLimits,
  type ProcessState,
  type SnapshotRef,
  snapshotKey,
  step,
} from "@cutline/protocol";

export const s1: SnapshotRef = { snapshotId: "s1", attempt: 1 };
export const s2: SnapshotRef = { snapshotId: "s2", attempt: 1 };

/** The process P under test. Every method is one input and returns the effects, each told in a few words. */
export class TestedProcess {
  readonly state: ProcessState;
  #arrived = new Map<ChannelId, number>();

  constructor(limits: CutLimits = defaultCutLimits) {
    this.state = createProcessState("P", limits);
  }

  /** Opens `P>peer` and `peer>P`. */
  link(peer: string): string[] {
    return [
      ...this.step({ type: "openOutgoing", channel: `P>${peer}`, peer }),
      ...this.step({ type: "openIncoming", channel: `${peer}>P`, peer }),
    ];
  }

  loseLink(peer: string): string[] {
    return [
      ...this.step({ type: "closeChannel", channel: `P>${peer}` }),
      ...this.step({ type: "closeChannel", channel: `${peer}>P` }),
    ];
  }

  send(peer: string): string[] {
    return this.step({ type: "send", channel: `P>${peer}` });
  }

  frameFrom(peer: string): string[] {
    return this.step({ type: "frameArrived", channel: `${peer}>P`, number: this.#next(`${peer}>P`) });
  }

  markerFrom(peer: string, ref: SnapshotRef): string[] {
    return this.step({ type: "markerArrived", channel: `${peer}>P`, number: this.#next(`${peer}>P`), ref });
  }

  receive(peer: string, number: number): string[] {
    return this.step({ type: "delivered", channel: `${peer}>P`, number });
  }

  start(ref: SnapshotRef, trigger: "start" | "attach" = "start"): string[] {
    return this.step({ type: "start", ref, trigger });
  }

  captured(ref: SnapshotRef, undelivered: Readonly<Record<ChannelId, readonly number[]>> = {}): string[] {
    return this.step({ type: "captured", ref, undelivered: new Map(Object.entries(undelivered)) });
  }

  captureFailed(ref: SnapshotRef): string[] {
    return this.step({ type: "captureFailed", ref, code: "StateSourceFailed", message: "it threw" });
  }

  ended(ref: SnapshotRef): string[] {
    return this.step({ type: "ended", ref });
  }

  step(input: CutInput): string[] {
    return step(this.state, input).effects.map(tell);
  }

  #next(channel: ChannelId): number {
    const number = (this.#arrived.get(channel) ?? 0) + 1;
    this.#arrived.set(channel, number);
    return number;
  }
}

function tell(effect: CutEffect): string {
  switch (effect.type) {
    case "numbered":
    case "deliver":
    case "hold":
      return `${effect.type} ${effect.channel} ${effect.number}`;
    case "sendMarker":
    case "record":
      return `${effect.type} ${snapshotKey(effect.ref)} ${effect.channel} ${effect.number}`;
    case "capture":
      return `capture ${snapshotKey(effect.ref)} by ${effect.trigger}`;
    case "forget":
      return `forget ${snapshotKey(effect.ref)}`;
    case "release":
      return `release ${effect.channel} ${effect.before === undefined ? "all" : `before ${effect.before}`}`;
    case "reportFailed":
      return `reportFailed ${snapshotKey(effect.ref)} ${effect.code}`;
    case "reportCut": {
      const { ref, trigger, outgoing, incoming } = effect.report;
      const sent = outgoing.map((facts) => `${facts.channel} sent ${facts.sentAtCut} markers ${facts.markersSent}`);
      return `reportCut ${snapshotKey(ref)} by ${trigger}: ${sent.join(", ")}; incoming ${incoming.join(" ")}`;
    }
    case "reportChannel": {
      const { ref, channel, markerNumber, deliveredAtCut, recorded, markersReceived } = effect.report;
      const ranges = recorded.map(({ first, last }) => `${first}-${last}`).join(" ") || "none";
      return `reportChannel ${snapshotKey(ref)} ${channel}: marker ${markerNumber}, delivered ${deliveredAtCut}, recorded ${ranges}, markers ${markersReceived}`;
    }
  }
}
