/** The questions `verify` asks, in the order of its report. */
export const checkNames = [
  "document",
  "certificate",
  "digest",
  "channels",
  "recorded",
  "outbox",
  "states",
  "calls",
  "exactness",
] as const;
export type CheckName = (typeof checkNames)[number];

export interface Finding {
  readonly check: CheckName;
  /** CamelCase, stable. */
  readonly code: string;
  readonly message: string;
  readonly channelId?: string;
  readonly processId?: string;
}

/** What is kept of the violations; the count goes on. */
const findingsKeptMax = 10_000;

/** Collects violations; bounded. */
export class Findings {
  readonly kept: Finding[] = [];
  readonly #counts = new Map<CheckName, number>();

  add(check: CheckName, code: string, message: string, subject: Pick<Finding, "channelId" | "processId"> = {}): void {
    this.#counts.set(check, this.countOf(check) + 1);
    if (this.kept.length < findingsKeptMax) this.kept.push({ check, code, message, ...subject });
  }

  countOf(check: CheckName): number {
    return this.#counts.get(check) ?? 0;
  }
}
