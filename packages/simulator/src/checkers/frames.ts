import type { FrameContent, Verdict } from "./history.ts";
import type { ChannelTimeline, Timeline } from "./timeline.ts";

/** Numbers on a channel begin at 1 and leave nothing out, at both ends, and name the same frames at both. */
export function checkFrames({ channels }: Timeline): Verdict[] {
  const found: Verdict[] = [];
  for (const channel of channels.values()) {
    checkNumbers(channel, "numbered", found);
    checkNumbers(channel, "arrived", found);
    channel.arrived.forEach(({ number, content, at }) => {
      const sent = channel.numbered[number - 1];
      if (sent === undefined || sent.at > at) {
        found.push({ checker: "numbers", message: `${channel.id}: ${number} arrived and was not sent before` });
      } else if (!isSame(sent.content, content)) {
        found.push({ checker: "numbers", message: `${channel.id}: ${number} arrived as another frame than was sent` });
      }
    });
  }
  return found;
}

function checkNumbers(channel: ChannelTimeline, what: "numbered" | "arrived", found: Verdict[]): void {
  channel[what].forEach(({ number }, index) => {
    if (number === index + 1) return;
    found.push({ checker: "numbers", message: `${channel.id}: ${what} ${number} as the ${index + 1}th` });
  });
}

function isSame(a: FrameContent, b: FrameContent): boolean {
  return a.unit === b.unit && a.piece === b.piece && a.marker === b.marker;
}

/** Captures wait for each other, and readers are slow; but no snapshot holds anything back for longer. */
const pauseMsMax = 2_500;

/**
 * I3: an application receives what was sent on a call, once, in its order, and nothing before it arrived; and when
 * all is over nothing that was sent on a link that lives is still missing.
 */
export function checkDelivery({ history, channels, units }: Timeline): Verdict[] {
  const found: Verdict[] = [];
  const lost = (message: string) => found.push({ checker: "I3", message });
  const times = new Map<string, number>();
  const lastOfCall = new Map<string, number>();
  const lastAtMs = new Map<string, number>();
  for (const [at, event] of history.events.entries()) {
    if (event.type !== "received") continue;
    const channel = channels.get(event.channel);
    for (const number of event.numbers) {
      const key = `${event.channel} ${number}`;
      times.set(key, (times.get(key) ?? 0) + 1);
      if (times.get(key) === 2) lost(`${event.channel}: frame ${number} was received twice`);
      const arrived = channel?.arrived[number - 1];
      if (arrived === undefined || arrived.at > at) lost(`${event.channel}: ${number} was received before it arrived`);
    }
    const unit = history.units[event.unit];
    if (unit === undefined || event.fate === "discarded") continue;
    if (event.numbers.length !== unit.pieces) lost(`unit ${unit.id} was received in ${event.numbers.length} pieces`);
    const call = `${event.channel} ${unit.call}`;
    if ((lastOfCall.get(call) ?? -1) >= unit.id) lost(`call ${unit.call}: unit ${unit.id} was received out of order`);
    lastOfCall.set(call, unit.id);
    const whole = channel?.arrived[(event.numbers.at(-1) ?? 0) - 1]?.at ?? 0;
    const waitedMs = event.atMs - Math.max(history.events[whole]?.atMs ?? 0, lastAtMs.get(call) ?? 0);
    if (waitedMs > pauseMsMax)
      lost(`unit ${unit.id} of call ${unit.call} was held back for ${Math.round(waitedMs)} ms`);
    lastAtMs.set(call, event.atMs);
  }
  const finish = history.events.at(-1);
  if (finish?.type !== "finished") return found;
  const live = new Set(finish.outcome.liveChannels);
  for (const { id, channel } of history.units) {
    const unit = units[id];
    if (unit === undefined || !live.has(channel) || unit.taken < history.events.length) continue;
    // What was sent on an earlier life of the channel went with it.
    if (unit.channel !== channels.get(channel)) continue;
    if (unit.discarded < history.events.length) continue;
    lost(`unit ${id} was sent on ${channel}, which lives, and never received`);
  }
  return found;
}
