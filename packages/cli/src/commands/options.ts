import { InvalidArgumentError } from "commander";

const phases = ["Pending", "Cutting", "Collecting", "Verifying", "Completed", "Failed", "Aborted"] as const;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `30s`, `2m`, `1h`; the coordinator takes 1 s to 1 h. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const ms = Math.round(Number(match?.[1]) * (unitMs[match?.[2] ?? ""] ?? Number.NaN));
  if (!Number.isSafeInteger(ms) || ms <= 0) {
    throw new InvalidArgumentError("A duration is a number and a unit: 30s, 2m or 1h.");
  }
  return ms;
}

/** Collects `key=value`, one option after another. */
export function collectLabel(text: string, before?: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("A label is written key=value.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

export function collect(text: string, before: readonly string[] = []): string[] {
  if (text === "") throw new InvalidArgumentError("It is empty.");
  return [...before, text];
}

/** In any case; given on as the coordinator spells it. */
export function collectPhase(text: string, before: readonly string[] = []): string[] {
  const phase = phases.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
  if (phase === undefined) throw new InvalidArgumentError(`The phases are ${phases.join(", ")}.`);
  return [...before, phase];
}

export function parseProcessId(text: string): string {
  if (!/^[^/\s]+\/[^/\s]+$/.test(text)) throw new InvalidArgumentError("A process is written namespace/name.");
  return text;
}

/** A parser for whole numbers from `min` to `max`. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
