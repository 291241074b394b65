import type { Finish, Happening, Verdict } from "./history.ts";
import type { Timeline } from "./timeline.ts";

const lastPhases = new Set(["Completed", "Failed", "Aborted"]);

/** I6: when nothing is disturbed any more everything ends; and where nothing was disturbed it ends well. */
export function checkEnds({ history }: Timeline): Verdict[] {
  const last = history.events.at(-1);
  if (last?.type !== "finished") return [];
  const found: Verdict[] = [];
  const { outcome } = last;
  const wrong = (message: string) => found.push({ checker: "I6", message });
  for (const { id, attempt, phase, reason } of outcome.documents) {
    if (!lastPhases.has(phase)) wrong(`${id} is still ${phase} in attempt ${attempt}`);
    const asked = history.events.find((event) => event.type === "asked" && event.id === id);
    const completesBy = asked?.type === "asked" ? asked.completesBy : 0;
    if (completesBy === 0 || (phase === "Completed" && attempt <= completesBy)) continue;
    wrong(`${id} was not disturbed after attempt ${completesBy - 1} and is ${phase} in attempt ${attempt}: ${reason}`);
  }
  if (outcome.reached !== "quiet") {
    const remains = outcome.processes.flatMap(remainsOf).slice(0, 4).join("; ");
    wrong(`it is not over within the bound (${outcome.reached}): ${remains}`);
  }
  for (const { inc, keptRecords } of outcome.processes) {
    if (outcome.reached === "quiet" && keptRecords > 0)
      wrong(`${inc} keeps records of ${keptRecords} attempts that are over`);
  }
  return found;
}

function remainsOf({ inc, runningSnapshots, heldFrames, waitingUnits }: Finish["processes"][number]): string[] {
  const parts: string[] = [];
  if (runningSnapshots.length > 0) parts.push(`${inc} still takes part in ${runningSnapshots.join(", ")}`);
  if (heldFrames > 0) parts.push(`${inc} holds ${heldFrames} frames, barriers or recordings`);
  if (waitingUnits > 0) parts.push(`${inc} has ${waitingUnits} frames that do not move`);
  return parts;
}

/**
 * I9 and I5: a snapshot is published once and never changes after; no write of a term passed over is carried out;
 * nobody is told anything else of a published attempt; and its parts are there.
 */
export function checkPublication({ history }: Timeline): Verdict[] {
  const found: Verdict[] = [];
  const published = new Map<string, number>();
  const told = new Map<string, Happening & { type: "told" }>();
  let term = 0;
  for (const event of history.events) {
    switch (event.type) {
      case "granted":
        if (event.term <= term) found.push({ checker: "I9", message: `term ${event.term} was granted after ${term}` });
        term = Math.max(term, event.term);
        break;
      case "written":
        if (event.term < term) {
          found.push({
            checker: "I9",
            message: `${event.id} was written in term ${event.term} while ${term} was granted`,
          });
        }
        if (published.has(event.id)) {
          found.push({ checker: "I9", message: `${event.id} was written as ${event.phase} after its publication` });
        }
        if (event.phase === "Completed") published.set(event.id, event.attempt);
        break;
      case "told":
        told.set(`${event.id}/${event.attempt} ${event.phase}`, event);
        if (event.phase === "Completed" && published.get(event.id) !== event.attempt) {
          const message = `${event.by} said that ${event.id}/${event.attempt} is Completed before it was`;
          found.push({ checker: "I9", message });
        }
        break;
      default:
    }
  }
  for (const [id, attempt] of published) {
    for (const phase of ["Failed", "Aborted"]) {
      const other = told.get(`${id}/${attempt} ${phase}`);
      if (other === undefined) continue;
      found.push({ checker: "I9", message: `${other.by} said that ${id}/${attempt} is ${phase}, and it is published` });
    }
  }
  return found;
}

/** I8: an attempt stands in the store, by the term that asks for it, before any process hears of it. */
export function checkStarts({ history }: Timeline): Verdict[] {
  const found: Verdict[] = [];
  const recorded = new Set<string>();
  for (const event of history.events) {
    if (event.type === "written") recorded.add(`${event.id}/${event.attempt} ${event.term}`);
    if (event.type !== "started" || recorded.has(`${event.id}/${event.attempt} ${event.term}`)) continue;
    const message = `processes were asked to cut for ${event.id}/${event.attempt} in term ${event.term}, unknown to the store`;
    found.push({ checker: "I8", message });
  }
  return found;
}

/** I5: what was published names parts; at the end they are there, as they were at the publication. */
export function checkParts({ history }: Timeline): Verdict[] {
  const last = history.events.at(-1);
  if (last?.type !== "finished") return [];
  const found: Verdict[] = [];
  for (const event of history.events) {
    if (event.type !== "published") continue;
    const { id, attempt, parts } = event.picture;
    const stored = last.outcome.parts.get(id);
    for (const [name, content] of parts) {
      if (stored?.get(`${attempt} ${name}`) === content) continue;
      found.push({ checker: "I5", message: `${id}/${attempt}: the part ${name} is not what was published` });
    }
  }
  return found;
}
