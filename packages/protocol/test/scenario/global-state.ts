import type { ChannelEvidence, ChannelFacts, OutgoingFacts } from "@cutline/protocol";
import type { LocalPicture } from "./things.ts";
import type { World } from "./world.ts";

export interface ChannelState {
  readonly evidence: ChannelEvidence;
  /** Tokens, in order. */
  readonly inFlight: readonly string[];
  readonly outbox: readonly string[];
}

/** Everything that the processes have reported for one snapshot, put together as a coordinator would. */
export interface GlobalState {
  readonly key: string;
  readonly outcome: "complete" | "incomplete" | "failed";
  readonly locals: ReadonlyMap<string, LocalPicture>;
  readonly channels: readonly ChannelState[];
}

export function gather(world: World, key: string): GlobalState {
  const locals = new Map<string, LocalPicture>();
  for (const actor of world.actors.values()) {
    const picture = actor.pictures.get(key);
    if (picture !== undefined) locals.set(actor.id, picture);
  }
  const senders = new Map<string, { from: string; facts: OutgoingFacts }>();
  const receivers = new Map<string, { to: string; facts: ChannelFacts }>();
  const expected = new Set<string>();
  for (const [process, picture] of locals) {
    for (const facts of picture.cut?.outgoing ?? []) {
      senders.set(facts.channel, { from: process, facts });
      expected.add(facts.channel);
    }
    for (const channel of picture.cut?.incoming ?? []) expected.add(channel);
    for (const [channel, facts] of picture.channels) receivers.set(channel, { to: process, facts });
  }
  const channels = [...new Set([...expected, ...receivers.keys()])].sort().map((id): ChannelState => {
    const sender = senders.get(id);
    const receiver = receivers.get(id);
    const to = receiver?.to ?? sender?.facts.to ?? "unknown";
    return {
      evidence: evidence(id, sender, receiver),
      inFlight: (locals.get(to)?.recorded.get(id) ?? []).map((frame) => frame.token),
      outbox: sender === undefined ? [] : (locals.get(sender.from)?.outbox.get(id) ?? []),
    };
  });
  const failed = [...locals.values()].some((picture) => picture.failure !== undefined);
  // Who has left or died without a word for this snapshot is no part of it; a channel from or to it says so if it was.
  const allCut = [...world.actors.values()].every(
    (actor) => locals.get(actor.id)?.cut !== undefined || (actor.standing !== "here" && !locals.has(actor.id)),
  );
  const allClosed = [...expected].every((id) => receivers.has(id));
  return { key, outcome: failed ? "failed" : allCut && allClosed ? "complete" : "incomplete", locals, channels };
}

function evidence(
  id: string,
  sender: { from: string; facts: OutgoingFacts } | undefined,
  receiver: { to: string; facts: ChannelFacts } | undefined,
): ChannelEvidence {
  return {
    id,
    from: sender?.from ?? receiver?.facts.from ?? id.split(">")[0] ?? "unknown",
    to: receiver?.to ?? sender?.facts.to ?? "unknown",
    senderReported: sender !== undefined,
    receiverReported: receiver !== undefined,
    sentAtCut: sender?.facts.sentAtCut ?? 0,
    markersSent: sender?.facts.markersSent ?? 0,
    markersSentSum: sender?.facts.markersSentSum ?? 0,
    markerNumber: receiver?.facts.markerNumber ?? 0,
    markersReceived: receiver?.facts.markersReceived ?? 0,
    markersReceivedSum: receiver?.facts.markersReceivedSum ?? 0,
    deliveredAtCut: receiver?.facts.deliveredAtCut ?? 0,
    deliveredSum: receiver?.facts.deliveredSum ?? 0,
    deliveredMax: receiver?.facts.deliveredMax ?? 0,
    recorded: receiver?.facts.recorded ?? [],
    recordedCount: receiver?.facts.recordedCount ?? 0,
  };
}
