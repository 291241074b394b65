import { checkCausality, clocksAtCuts } from "./causality.ts";
import { checkEnds, checkParts, checkPublication, checkStarts } from "./ends.ts";
import { checkDelivery, checkFrames } from "./frames.ts";
import type { History, Verdict } from "./history.ts";
import { checkPicture } from "./picture.ts";
import { timelineOf } from "./timeline.ts";

/** Everything that is wrong with a history. */
export function judge(history: History): Verdict[] {
  const timeline = timelineOf(history);
  const found = [
    ...checkFrames(timeline),
    ...checkDelivery(timeline),
    ...checkEnds(timeline),
    ...checkPublication(timeline),
    ...checkStarts(timeline),
    ...checkParts(timeline),
  ];
  const known = clocksAtCuts(timeline);
  for (const event of history.events) {
    if (event.type !== "published") continue;
    found.push(...checkCausality(event.picture, known), ...checkPicture(event.picture, timeline));
  }
  return found;
}
