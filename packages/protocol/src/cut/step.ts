import { invariant } from "../invariant.ts";
import { addToSum, NumberSet } from "../numbers.ts";
import {
  createIncoming,
  createOutgoing,
  mayDeliver,
  noteArrival,
  noteDelivery,
  numberFrame,
  numberMarker,
  takeArrival,
} from "./channels.ts";
import type { ChannelFacts, CutEffect, CutInput, CutStep, OutgoingFacts } from "./messages.ts";
import {
  type ChannelId,
  type CutTrigger,
  type IncomingChannel,
  type LocalSnapshot,
  type OutgoingChannel,
  type ProcessState,
  type Recording,
  type SnapshotRef,
  snapshotKey,
} from "./state.ts";

/**
 * The Chandy–Lamport rules for one process ("Distributed Snapshots", ACM TOCS 3(1), 1985), for any number of snapshots
 * at once. Deterministic; changes `state` in place and returns it. Throws {@link InvariantViolation} when what it is
 * told cannot be, and `RangeError` for a channel it does not know.
 */
export function step(state: ProcessState, input: CutInput): CutStep {
  const effects: CutEffect[] = [];
  apply(state, input, effects);
  return { state, effects };
}

function apply(state: ProcessState, input: CutInput, effects: CutEffect[]): void {
  switch (input.type) {
    case "openOutgoing":
      openOutgoing(state, input.channel, input.peer, effects);
      return;
    case "openIncoming":
      openIncoming(state, input.channel, input.peer);
      return;
    case "closeChannel":
      closeChannel(state, input.channel, effects);
      return;
    case "start":
      begin(state, input.ref, input.trigger, effects);
      return;
    case "send":
      effects.push({ type: "numbered", channel: input.channel, number: numberFrame(outgoing(state, input.channel)) });
      return;
    case "frameArrived":
      frameArrived(incoming(state, input.channel), input.number, effects);
      return;
    case "markerArrived":
      markerArrived(state, incoming(state, input.channel), input.number, input.ref, effects);
      return;
    case "delivered":
      noteDelivery(incoming(state, input.channel), input.number);
      return;
    case "captured":
      captured(state, input.ref, input.undelivered, effects);
      return;
    case "captureFailed":
      if (!state.snapshots.has(snapshotKey(input.ref))) return;
      effects.push({ type: "reportFailed", ref: input.ref, code: input.code, message: input.message });
      end(state, input.ref, effects);
      return;
    case "ended":
      end(state, input.ref, effects);
      return;
  }
}

function openOutgoing(state: ProcessState, id: ChannelId, peer: string, effects: CutEffect[]): void {
  const channel = createOutgoing(id, peer);
  state.outgoing.set(id, channel);
  // A channel that opens after the cut begins with the markers of all running snapshots, so that the receiver, who
  // records it, can close it. Snapshots still cutting send theirs at the cut.
  for (const snapshot of state.snapshots.values()) {
    if (snapshot.phase !== "cutting") sendMarker(channel, snapshot.ref, effects);
  }
}

function openIncoming(state: ProcessState, id: ChannelId, peer: string): void {
  const channel = createIncoming(id, peer);
  state.incoming.set(id, channel);
  for (const snapshot of state.snapshots.values()) {
    if (snapshot.phase === "cutting") continue;
    // The sender may not have cut yet: what it sends until its marker belongs to the channel state.
    const recording = createRecording(snapshot.ref, channel);
    recording.delivered = { count: 0, sum: 0, max: 0 };
    snapshot.channels.set(id, recording);
    channel.recordings.push(recording);
    snapshot.phase = "recording";
  }
}

function closeChannel(state: ProcessState, id: ChannelId, effects: CutEffect[]): void {
  state.outgoing.delete(id);
  const channel = state.incoming.get(id);
  state.incoming.delete(id);
  if (channel === undefined) return;
  for (const snapshot of [...state.snapshots.values()]) {
    const recording = snapshot.channels.get(id);
    const closed = recording === undefined || (recording.marker !== undefined && recording.delivered !== undefined);
    if (closed) continue;
    effects.push({
      type: "reportFailed",
      ref: snapshot.ref,
      code: "ChannelLost",
      message: `the channel ${id} from ${channel.peer} was lost before its state was complete`,
    });
    end(state, snapshot.ref, effects);
  }
}

function begin(
  state: ProcessState,
  ref: SnapshotRef,
  trigger: CutTrigger,
  effects: CutEffect[],
): LocalSnapshot | undefined {
  const key = snapshotKey(ref);
  const known = state.snapshots.get(key);
  if (known !== undefined || state.ended.has(key)) return known;
  if (state.snapshots.size >= state.limits.runningSnapshotsMax) {
    const message = `${state.process} takes part in ${state.snapshots.size} snapshots already, which is the limit`;
    effects.push({ type: "reportFailed", ref, code: "TooManySnapshots", message });
    remember(state, key);
    return undefined;
  }
  const snapshot: LocalSnapshot = { ref, trigger, phase: "cutting", channels: new Map() };
  state.snapshots.set(key, snapshot);
  effects.push({ type: "capture", ref, trigger });
  return snapshot;
}

function frameArrived(channel: IncomingChannel, number: number, effects: CutEffect[]): void {
  for (const recording of takeArrival(channel, number)) {
    effects.push({ type: "record", ref: recording.ref, channel: channel.id, number });
  }
  effects.push({ type: mayDeliver(channel, number), channel: channel.id, number });
}

function markerArrived(
  state: ProcessState,
  channel: IncomingChannel,
  number: number,
  ref: SnapshotRef,
  effects: CutEffect[],
): void {
  noteArrival(channel, number);
  const marker = { number, markersBefore: channel.markersReceived, markersBeforeSum: channel.markersReceivedSum };
  channel.markersReceived += 1;
  channel.markersReceivedSum = addToSum(channel.markersReceivedSum, number);

  const snapshot = begin(state, ref, "marker", effects);
  if (snapshot === undefined) return;
  if (snapshot.phase === "cutting") {
    // First marker, or one that came while the capture is under way: what stands behind it waits for the cut.
    if (snapshot.channels.has(channel.id)) return;
    const recording = createRecording(ref, channel);
    recording.marker = marker;
    snapshot.channels.set(channel.id, recording);
    channel.barriers.push({ key: snapshotKey(ref), markerNumber: number });
    return;
  }
  const recording = snapshot.channels.get(channel.id);
  if (recording === undefined || recording.marker !== undefined) return;
  recording.marker = marker;
  channel.recordings.splice(channel.recordings.indexOf(recording), 1);
  effects.push({ type: "reportChannel", report: facts(recording) });
  settlePhase(snapshot);
}

function captured(
  state: ProcessState,
  ref: SnapshotRef,
  undelivered: ReadonlyMap<ChannelId, readonly number[]>,
  effects: CutEffect[],
): void {
  const snapshot = state.snapshots.get(snapshotKey(ref));
  if (snapshot === undefined) return;
  invariant(snapshot.phase === "cutting", "I8", () => `${snapshotKey(ref)} was captured twice at ${state.process}`);
  // All that can turn out to be wrong is looked at first: once a marker has its number there is no way back.
  const records: CutEffect[] = [];
  for (const channel of state.incoming.values()) {
    recordUndelivered(snapshot, channel, undelivered.get(channel.id) ?? [], records);
  }
  snapshot.phase = "recording";
  const sent: OutgoingFacts[] = [];
  for (const channel of state.outgoing.values()) {
    sent.push({
      channel: channel.id,
      to: channel.peer,
      sentAtCut: channel.lastNumber,
      markersSent: channel.markersSent,
      markersSentSum: channel.markersSentSum,
    });
    sendMarker(channel, ref, effects);
  }
  // Not spread: there are as many as small messages fit into all credit, and a call has only so many arguments.
  for (const record of records) effects.push(record);
  effects.push({
    type: "reportCut",
    report: { ref, trigger: snapshot.trigger, outgoing: sent, incoming: [...state.incoming.keys()] },
  });
  for (const recording of snapshot.channels.values()) {
    if (recording.marker !== undefined) effects.push({ type: "reportChannel", report: facts(recording) });
  }
  settlePhase(snapshot);
  releaseBarriers(state, snapshotKey(ref), effects);
}

/** What has arrived and was not received at the cut is the beginning of the channel state. */
function recordUndelivered(
  snapshot: LocalSnapshot,
  channel: IncomingChannel,
  undelivered: readonly number[],
  effects: CutEffect[],
): void {
  const recording = snapshot.channels.get(channel.id) ?? createRecording(snapshot.ref, channel);
  snapshot.channels.set(channel.id, recording);
  recording.delivered = { count: channel.deliveredCount, sum: channel.deliveredSum, max: channel.deliveredMax };
  const end = recording.marker?.number ?? channel.lastNumber + 1;
  for (const number of undelivered) {
    if (number >= end) continue;
    invariant(
      recording.recorded.add(number) === "added",
      "I2",
      () => `${channel.id} frame ${number} was recorded twice`,
    );
    effects.push({ type: "record", ref: snapshot.ref, channel: channel.id, number });
  }
  const markers = recording.marker?.markersBefore ?? channel.markersReceived;
  const accounted = channel.deliveredCount + recording.recorded.count + markers;
  invariant(accounted === end - 1, "I2", () => {
    const parts = `${channel.deliveredCount} delivered + ${recording.recorded.count} undelivered + ${markers} markers`;
    return `${channel.id} had ${end - 1} frames arrived at the cut, but ${parts} = ${accounted}`;
  });
  if (recording.marker === undefined) channel.recordings.push(recording);
}

function end(state: ProcessState, ref: SnapshotRef, effects: CutEffect[]): void {
  const key = snapshotKey(ref);
  const snapshot = state.snapshots.get(key);
  remember(state, key);
  if (snapshot === undefined) return;
  state.snapshots.delete(key);
  for (const channel of state.incoming.values()) {
    const at = channel.recordings.findIndex((recording) => snapshotKey(recording.ref) === key);
    if (at >= 0) channel.recordings.splice(at, 1);
  }
  effects.push({ type: "forget", ref });
  releaseBarriers(state, key, effects);
}

function releaseBarriers(state: ProcessState, key: string, effects: CutEffect[]): void {
  for (const channel of state.incoming.values()) {
    const at = channel.barriers.findIndex((barrier) => barrier.key === key);
    if (at < 0) continue;
    channel.barriers.splice(at, 1);
    if (at === 0) effects.push({ type: "release", channel: channel.id, before: channel.barriers[0]?.markerNumber });
  }
}

function sendMarker(channel: OutgoingChannel, ref: SnapshotRef, effects: CutEffect[]): void {
  effects.push({ type: "sendMarker", channel: channel.id, number: numberMarker(channel), ref });
}

function settlePhase(snapshot: LocalSnapshot): void {
  const open = [...snapshot.channels.values()].some((recording) => recording.marker === undefined);
  snapshot.phase = open ? "recording" : "done";
}

function createRecording(ref: SnapshotRef, channel: IncomingChannel): Recording {
  return {
    ref,
    channel: channel.id,
    from: channel.peer,
    marker: undefined,
    delivered: undefined,
    recorded: new NumberSet(),
  };
}

function facts(recording: Recording): ChannelFacts {
  const { marker, delivered } = recording;
  invariant(
    marker !== undefined && delivered !== undefined,
    "I2",
    () => `${recording.channel} was reported before it closed`,
  );
  return {
    ref: recording.ref,
    channel: recording.channel,
    from: recording.from,
    markerNumber: marker.number,
    markersReceived: marker.markersBefore,
    markersReceivedSum: marker.markersBeforeSum,
    deliveredAtCut: delivered.count,
    deliveredSum: delivered.sum,
    deliveredMax: delivered.max,
    recorded: recording.recorded.ranges(),
    recordedCount: recording.recorded.count,
  };
}

function remember(state: ProcessState, key: string): void {
  state.ended.add(key);
  for (const oldest of state.ended) {
    if (state.ended.size <= state.limits.endedRememberedMax) break;
    state.ended.delete(oldest);
  }
}

function outgoing(state: ProcessState, id: ChannelId): OutgoingChannel {
  const channel = state.outgoing.get(id);
  if (channel === undefined) throw new RangeError(`${state.process} has no outgoing channel ${id}`);
  return channel;
}

function incoming(state: ProcessState, id: ChannelId): IncomingChannel {
  const channel = state.incoming.get(id);
  if (channel === undefined) throw new RangeError(`${state.process} has no incoming channel ${id}`);
  return channel;
}
