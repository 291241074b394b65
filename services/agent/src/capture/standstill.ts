import type { CallEnd } from "../dataplane/call/call-end.ts";
import { everything } from "../dataplane/call/position.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { type ChannelRecords, encodeOutbox } from "./recorder.ts";

/** All calls on links, at either end. */
export function* callsOf(plane: DataPlane): Generator<CallEnd> {
  for (const link of plane.driver.links.values()) yield* link.calls.values();
}

/** What stands before the cut and goes out at once goes out; the rest of it is the outbox. */
export function takeOutboxes(plane: DataPlane): Map<string, ChannelRecords> {
  const outboxes = new Map<string, ChannelRecords>();
  for (const link of plane.driver.links.values()) {
    const waiting = [...link.calls.values()]
      .map((call) => ({ call, items: call.outbox() }))
      .filter(({ items }) => items.length > 0);
    if (waiting.length > 0) outboxes.set(link.outgoing.id, encodeOutbox(waiting));
  }
  return outboxes;
}

/** Everything that has been read from the application stands before the cut. */
export function letOutAllThatWasRead(plane: DataPlane): void {
  plane.gate.fromApplication = "settling";
  for (const call of [...callsOf(plane)]) {
    call.cutTarget = everything;
    call.pumpToLink();
  }
}

/** Traffic flows again, whatever has become of the cut. */
export function letGo(plane: DataPlane): void {
  plane.gate.onCrossing = undefined;
  plane.gate.fromApplication = "open";
  plane.gate.toApplication = "open";
  for (const call of [...callsOf(plane)]) call.afterCut();
}
