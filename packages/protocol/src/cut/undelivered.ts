import type { FrameNumber } from "../numbers.ts";
import type { ChannelId } from "./state.ts";

/** A frame that has arrived and was not received. `call` undefined: a stray. */
export interface UndeliveredFrame<F, C> {
  readonly frame: F;
  readonly call: C | undefined;
}

/** What a capture looks at in a link. */
export interface UndeliveredSource<F, C> {
  readonly incoming: { readonly id: ChannelId };
  readonly calls: { values(): Iterable<C> };
  readonly strays: Iterable<F>;
}

export interface Undelivered<F, C> {
  /** For the input `captured`: of every link, in ascending order. */
  readonly numbers: ReadonlyMap<ChannelId, readonly FrameNumber[]>;
  /** The frame that an effect `record` names. */
  find(channel: ChannelId, number: FrameNumber): UndeliveredFrame<F, C> | undefined;
}

/**
 * All frames that have arrived and that the application has not received at this instant: those that its calls still
 * keep, handed over or not, and strays behind a marker.
 */
export function gatherUndelivered<F extends { readonly number: FrameNumber }, C>(
  links: Iterable<UndeliveredSource<F, C>>,
  keptBy: (call: C) => Iterable<F>,
): Undelivered<F, C> {
  const numbers = new Map<ChannelId, FrameNumber[]>();
  const found = new Map<ChannelId, Map<FrameNumber, UndeliveredFrame<F, C>>>();
  for (const { incoming, calls, strays } of links) {
    const frames = new Map<FrameNumber, UndeliveredFrame<F, C>>();
    for (const call of calls.values()) for (const frame of keptBy(call)) frames.set(frame.number, { frame, call });
    for (const frame of strays) frames.set(frame.number, { frame, call: undefined });
    const ascending = [...frames.keys()].sort((a, b) => a - b);
    numbers.set(incoming.id, ascending);
    found.set(incoming.id, frames);
  }
  return { numbers, find: (channel, number) => found.get(channel)?.get(number) };
}
