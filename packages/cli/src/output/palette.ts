import type { Io, Terminal } from "../io.ts";

export type Colour = "good" | "bad" | "warn" | "dim" | "bold";

/** Paints a text that is already escaped; the plain palette leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

const codes: Readonly<Record<Colour, string>> = { good: "32", bad: "31", warn: "33", dim: "2", bold: "1" };

export const plain: Paint = (_colour, text) => text;

const coloured: Paint = (colour, text) => `\u001b[${codes[colour]}m${text}\u001b[0m`;

/** Colour only where a person looks, and nobody asked for none (--no-color, https://no-color.org). */
export function paletteFor(io: Io, terminal: Terminal, wanted: boolean): Paint {
  const refused = io.env.NO_COLOR !== undefined && io.env.NO_COLOR !== "";
  return wanted && terminal.isTTY && !refused && io.env.TERM !== "dumb" ? coloured : plain;
}

export function phaseColour(phase: string): Colour | undefined {
  if (phase === "Completed") return "good";
  if (phase === "Failed" || phase === "Lost") return "bad";
  if (phase === "Aborted") return "warn";
  return undefined;
}
