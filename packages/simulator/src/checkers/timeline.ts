import type { FrameContent, History } from "./history.ts";

/** An index into the history's events; later is greater. */
export type Moment = number;

export const never: Moment = Number.MAX_SAFE_INTEGER;

export interface ChannelTimeline {
  readonly id: string;
  /** The lives at its ends; `undefined`: that end was never opened. */
  from: string | undefined;
  to: string | undefined;
  outOpened: Moment;
  outLost: Moment;
  inOpened: Moment;
  inLost: Moment;
  readonly numbered: { readonly at: Moment; readonly number: number; readonly content: FrameContent }[];
  readonly arrived: { readonly at: Moment; readonly number: number; readonly content: FrameContent }[];
  /** When each number was received, or thrown away. */
  readonly received: Map<number, Moment>;
}

interface UnitTimeline {
  channel: ChannelTimeline | undefined;
  sent: Moment;
  sender: string;
  /** The first piece that nobody wanted. */
  discarded: Moment;
  taken: Moment;
  receiver: string;
}

/** The history, put in order once for all checkers. */
export interface Timeline {
  readonly history: History;
  readonly born: Map<string, { readonly at: Moment; readonly process: string; readonly tokens: readonly string[] }>;
  readonly gone: Map<string, Moment>;
  readonly channels: Map<string, ChannelTimeline>;
  readonly units: UnitTimeline[];
  /** By `inc key`. */
  readonly cuts: Map<string, Moment>;
  readonly calmAt: Moment;
}

export function timelineOf(history: History): Timeline {
  const born: Timeline["born"] = new Map();
  const gone: Timeline["gone"] = new Map();
  const channels: Timeline["channels"] = new Map();
  const cuts: Timeline["cuts"] = new Map();
  const units: UnitTimeline[] = history.units.map(() => ({
    channel: undefined,
    sent: never,
    sender: "",
    discarded: never,
    taken: never,
    receiver: "",
  }));
  let calmAt = never;
  history.events.forEach((event, at) => {
    switch (event.type) {
      case "born":
        born.set(event.inc, { at, process: event.process, tokens: event.tokens });
        return;
      case "gone":
        gone.set(event.inc, at);
        return;
      case "opened":
      case "lost": {
        const channel =
          event.type === "opened" ? opening(channels, event.channel, event.end) : channelIn(channels, event.channel);
        if (event.type === "lost") {
          if (event.end === "out") channel.outLost = Math.min(channel.outLost, at);
          else channel.inLost = Math.min(channel.inLost, at);
        } else if (event.end === "out") {
          channel.from = event.inc;
          channel.outOpened = at;
          channel.outLost = never;
        } else {
          channel.to = event.inc;
          channel.inOpened = at;
          channel.inLost = never;
        }
        return;
      }
      case "sent": {
        const unit = units[event.unit];
        const channel = channels.get(history.units[event.unit]?.channel ?? "");
        if (unit !== undefined) Object.assign(unit, { sent: at, sender: event.inc, channel });
        return;
      }
      case "numbered":
      case "arrived": {
        const { number, content } = event;
        channelIn(channels, event.channel)[event.type].push({ at, number, content });
        return;
      }
      case "received": {
        const channel = channelIn(channels, event.channel);
        for (const number of event.numbers) if (!channel.received.has(number)) channel.received.set(number, at);
        const unit = units[event.unit];
        if (unit === undefined) return;
        if (event.fate === "discarded") unit.discarded = Math.min(unit.discarded, at);
        else Object.assign(unit, { taken: at, receiver: event.inc });
        return;
      }
      case "cut":
        cuts.set(`${event.inc} ${event.key}`, at);
        return;
      case "calm":
        calmAt = at;
        return;
      default:
    }
  });
  // With a life, all it had ends.
  for (const channel of channels.values()) {
    channel.outLost = Math.min(channel.outLost, gone.get(channel.from ?? "") ?? never);
    channel.inLost = Math.min(channel.inLost, gone.get(channel.to ?? "") ?? never);
  }
  return { history, born, gone, channels, units, cuts, calmAt };
}

/**
 * An acceptor may lose a link that its dialler has never seen connected, and open it again under the same name: then
 * nothing of what it sent before has ever arrived, and the channel begins anew. What was before is kept beside it.
 */
function opening(channels: Map<string, ChannelTimeline>, id: string, end: "out" | "in"): ChannelTimeline {
  const known = channels.get(id);
  if (known === undefined || end === "in" || known.outOpened === never) return channelIn(channels, id);
  const past = `${id} until ${known.outLost}`;
  const nothing = { to: undefined, inOpened: never, inLost: never, arrived: [], received: new Map() };
  channels.set(past, { ...known, ...nothing, id: past });
  const anew = { ...known, numbered: [] };
  channels.set(id, anew);
  return anew;
}

function channelIn(channels: Map<string, ChannelTimeline>, id: string): ChannelTimeline {
  let channel = channels.get(id);
  if (channel === undefined) {
    channel = {
      id,
      from: undefined,
      to: undefined,
      outOpened: never,
      outLost: never,
      inOpened: never,
      inLost: never,
      numbered: [],
      arrived: [],
      received: new Map(),
    };
    channels.set(id, channel);
  }
  return channel;
}
