import { invariant } from "../invariant.ts";
import { addToSum, type FrameNumber } from "../numbers.ts";
import type { IncomingChannel, OutgoingChannel, ProcessId, Recording } from "./state.ts";

// The functions every message passes through. `step` calls them too, so that there is one implementation.

export function createOutgoing(id: string, peer: ProcessId): OutgoingChannel {
  return { id, peer, lastNumber: 0, markersSent: 0, markersSentSum: 0 };
}

export function createIncoming(id: string, peer: ProcessId): IncomingChannel {
  return {
    id,
    peer,
    lastNumber: 0,
    markersReceived: 0,
    markersReceivedSum: 0,
    deliveredCount: 0,
    deliveredSum: 0,
    deliveredMax: 0,
    barriers: [],
    recordings: [],
  };
}

/** Gives the next application frame its number. */
export function numberFrame(channel: OutgoingChannel): FrameNumber {
  channel.lastNumber += 1;
  return channel.lastNumber;
}

export function numberMarker(channel: OutgoingChannel): FrameNumber {
  const number = numberFrame(channel);
  channel.markersSent += 1;
  channel.markersSentSum = addToSum(channel.markersSentSum, number);
  return number;
}

/** Notes that the next frame has arrived. The link delivers in order and without gaps; anything else is a defect. */
export function noteArrival(channel: IncomingChannel, number: FrameNumber): void {
  invariant(
    number === channel.lastNumber + 1,
    "I2",
    () => `channel ${channel.id} got ${number} after ${channel.lastNumber}`,
  );
  channel.lastNumber = number;
}

/**
 * The path of every message: notes that the next application frame has arrived, and in all recordings of its channel.
 * For each of the recordings returned the frame itself has to be kept before it is handed over.
 */
export function takeArrival(channel: IncomingChannel, number: FrameNumber): readonly Recording[] {
  noteArrival(channel, number);
  const { recordings } = channel;
  for (const recording of recordings) recording.recorded.add(number);
  return recordings;
}

/** Whether a frame may be handed to the application: not while it stands behind a marker that has not been cut for. */
export function mayDeliver(channel: IncomingChannel, number: FrameNumber): "deliver" | "hold" {
  const barrier = channel.barriers[0];
  return barrier === undefined || number < barrier.markerNumber ? "deliver" : "hold";
}

/** Notes that the application has received a frame. */
export function noteDelivery(channel: IncomingChannel, number: FrameNumber): void {
  invariant(
    mayDeliver(channel, number) === "deliver" && number <= channel.lastNumber,
    "I1",
    () => `channel ${channel.id} delivered ${number} behind marker ${channel.barriers[0]?.markerNumber ?? "none"}`,
  );
  channel.deliveredCount += 1;
  channel.deliveredSum = addToSum(channel.deliveredSum, number);
  if (number > channel.deliveredMax) channel.deliveredMax = number;
}
