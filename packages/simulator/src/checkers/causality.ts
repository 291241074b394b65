import type { Picture, Verdict } from "./history.ts";
import type { Timeline } from "./timeline.ts";

type Clock = Int32Array;

/** What each life knew of every other at each of its cuts, by `inc key`. */
export function clocksAtCuts({ history, born, units }: Timeline): {
  index: Map<string, number>;
  clocks: Map<string, Clock>;
} {
  const index = new Map([...born.keys()].map((inc, at) => [inc, at]));
  const now = [...born.keys()].map(() => new Int32Array(index.size));
  const sent: (Clock | undefined)[] = units.map(() => undefined);
  const clocks = new Map<string, Clock>();
  for (const event of history.events) {
    if (event.type !== "sent" && event.type !== "received" && event.type !== "cut") continue;
    const self = index.get(event.inc) ?? -1;
    const clock = now[self];
    if (clock === undefined) continue;
    if (event.type === "cut") {
      clocks.set(`${event.inc} ${event.key}`, clock.slice());
      continue;
    }
    clock[self] = (clock[self] ?? 0) + 1;
    if (event.type === "sent") sent[event.unit] = clock.slice();
    else {
      const other = sent[event.unit];
      if (other === undefined || event.fate === "discarded") continue;
      for (let i = 0; i < clock.length; i += 1) clock[i] = Math.max(clock[i] ?? 0, other[i] ?? 0);
    }
  }
  return { index, clocks };
}

/** I1 by vector clocks: at its cut nobody knew more of another process than that one had done by its own cut. */
export function checkCausality(picture: Picture, known: ReturnType<typeof clocksAtCuts>): Verdict[] {
  const found: Verdict[] = [];
  const key = `${picture.id}/${picture.attempt}`;
  for (const other of picture.processes) {
    const at = known.index.get(other.inc);
    const own = known.clocks.get(`${other.inc} ${key}`);
    if (at === undefined || own === undefined) {
      found.push({ checker: "I1", message: `${key}: ${other.inc} is in the picture and never cut for it` });
      continue;
    }
    for (const by of picture.processes) {
      const knows = known.clocks.get(`${by.inc} ${key}`)?.[at] ?? 0;
      if (knows <= (own[at] ?? 0)) continue;
      const message = `${key}: at its cut ${by.inc} had received what ${other.inc} did after its own cut`;
      found.push({ checker: "I1", message });
    }
  }
  return found;
}
