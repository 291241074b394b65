import type { ChannelId, ProcessId } from "../cut/state.ts";
import { partName } from "./evidence.ts";
import type { Member, SnapshotState } from "./state.ts";

/** What the running attempt still waits for. */
export interface Missing {
  readonly cuts: readonly ProcessId[];
  readonly channels: readonly ChannelId[];
  /** `kind owner`. */
  readonly parts: readonly string[];
}

export function missingOf(state: SnapshotState): Missing {
  const members = [...state.members.values()];
  return {
    cuts: members.filter(({ cut }) => cut === undefined).map(({ facts }) => facts.id),
    channels: [...awaitedChannels(state)].filter((channel) => !state.closed.has(channel)),
    parts: members.flatMap((member) => expectedParts(state, member)).filter((name) => !state.parts.has(name)),
  };
}

export function nothingMissing(missing: Missing): boolean {
  return missing.cuts.length === 0 && missing.channels.length === 0 && missing.parts.length === 0;
}

/**
 * The channels whose receiver must report: those that a receiver says existed at its cut, and those on which a sender
 * had numbered application frames towards a member. A channel that carried markers alone has no state.
 */
export function awaitedChannels(state: SnapshotState): Set<ChannelId> {
  const awaited = new Set<ChannelId>();
  for (const { cut } of state.members.values()) {
    for (const channel of cut?.incoming ?? []) awaited.add(channel);
    for (const sent of cut?.outgoing ?? []) {
      if (sent.sentAtCut > sent.markersSent && state.members.has(sent.to)) awaited.add(sent.channelId);
    }
  }
  return awaited;
}

/**
 * Outboxes are kept with their sender, channel states with their receiver; a process outside of the scope keeps
 * nothing.
 */
function expectedParts(state: SnapshotState, member: Member): string[] {
  const { cut, facts } = member;
  if (!member.store || cut === undefined) return [];
  const names = [partName("local", facts.id)];
  if (cut.callsInProcess > 0) names.push(partName("calls", facts.id));
  for (const sent of cut.outgoing) {
    if (sent.outboxCount > 0) names.push(partName("outbox", sent.channelId));
  }
  for (const closed of state.closed.values()) {
    if (closed.receiver === facts.id && closed.recordedCount > 0) names.push(partName("channel", closed.channelId));
  }
  return names;
}

/**
 * Nothing that is missing can only come from this process or over a channel from it: it may go, and stays counted. A
 * channel that nobody's outgoing channels name may come from anywhere, so its sender is not known to be free.
 */
export function isSettled(state: SnapshotState, member: Member): boolean {
  const { cut } = member;
  if (cut === undefined) return false;
  const open = (channel: ChannelId) => !state.closed.has(channel);
  if (cut.incoming.some(open)) return false;
  if (expectedParts(state, member).some((name) => !state.parts.has(name))) return false;
  const awaited = awaitedChannels(state);
  return !cut.outgoing.some(({ channelId }) => awaited.has(channelId) && open(channelId));
}

/** One sentence: who has not cut, which channels are open, which parts are not stored. */
export function describeMissing(state: SnapshotState): string {
  if (state.members.size === 0) {
    return state.roster.size === 0
      ? "no process is attached"
      : `the attempt could not start: ${listed([...state.roster.keys()])} known, of which some are detached`;
  }
  const missing = missingOf(state);
  const clauses = [
    missing.cuts.length > 0 ? `not cut: ${listed(missing.cuts)}` : "",
    missing.channels.length > 0 ? `channels not closed: ${listed(missing.channels)}` : "",
    missing.parts.length > 0 ? `parts not stored: ${listed(missing.parts)}` : "",
  ].filter((clause) => clause !== "");
  return clauses.length > 0 ? clauses.join("; ") : "everything was gathered, but not yet read back from the store";
}

const namedMax = 5;

function listed(names: readonly string[]): string {
  const more = names.length - namedMax;
  return names.slice(0, namedMax).join(", ") + (more > 0 ? ` and ${more} more (${names.length} in all)` : "");
}
