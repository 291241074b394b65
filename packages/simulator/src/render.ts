import type { Happening, History } from "./checkers/history.ts";

/** A history as text, a line an event, for reading. */
export function render(history: History): string {
  return history.events
    .map((event) => `${String(Math.round(event.atMs)).padStart(6)} ms  ${line(event, history)}`)
    .join("\n");
}

function line(event: Happening, { units }: History): string {
  switch (event.type) {
    case "born":
      return `${event.inc} begins with the tokens ${event.tokens.join(", ")}`;
    case "gone":
      return `${event.inc} has ${event.how}`;
    case "opened":
    case "lost":
      return `${event.inc} ${event.type === "opened" ? "opens" : "loses"} ${event.channel} (${event.end})`;
    case "sent": {
      const unit = units[event.unit];
      const tokens = unit?.tokens.length === 0 ? "" : ` with ${unit?.tokens.join(", ")}`;
      return `${event.inc} sends unit ${event.unit}, ${unit?.kind} of call ${unit?.call} on ${unit?.channel} (${unit?.pieces} pieces)${tokens}`;
    }
    case "numbered":
    case "arrived": {
      const { marker, unit, piece } = event.content;
      const what = marker === undefined ? `unit ${unit} piece ${piece}` : `the marker of ${marker}`;
      return `${event.inc} ${event.type === "numbered" ? "numbers" : "gets"} ${event.number} on ${event.channel}: ${what}`;
    }
    case "received":
      return `${event.inc} ${event.fate === "taken" ? "receives" : "throws away"} unit ${event.unit} (${event.numbers.join(", ")}) on ${event.channel}`;
    case "cut":
      return `${event.inc} CUTS for ${event.key}`;
    case "granted":
      return `${event.holder} leads in term ${event.term}`;
    case "written":
      return `the store has ${event.id}: ${event.phase}, attempt ${event.attempt}, term ${event.term}`;
    case "published":
      return `PUBLISHED ${event.picture.id}/${event.picture.attempt}: ${event.picture.processes.map(({ inc }) => inc).join(", ")}`;
    case "told":
      return `${event.by} says that ${event.id}/${event.attempt} is ${event.phase}`;
    case "fault":
      return `fault ${event.what}`;
    case "asked":
      return `a snapshot ${event.id} is asked for`;
    case "started":
      return `processes are asked to cut for ${event.id}/${event.attempt} in term ${event.term}`;
    case "calm":
      return "nothing is disturbed from here on";
    case "finished":
      return `over: ${event.outcome.reached}; ${event.outcome.documents.map(({ id, phase, reason }) => `${id} ${phase} ${reason}`).join("; ")}`;
  }
}
