import type { Snapshot } from "@cutline/proto/snapshot";
import { keyText } from "./key-text.ts";
import { type ListQuery, StoreError } from "./port.ts";

const listLimitMax = 500;

/** How many documents an adapter looks at in one step while it fills a page. */
export const listStepDocuments = 64;

const millisecondDigits = 14;
const positionPattern = /^[0-9a-f]{14}:[!-~]+$/;

/**
 * Where a snapshot stands in the order of the list, as ASCII text that sorts oldest first: its creation in milliseconds
 * (hexadecimal, fixed width), a colon, and its id as {@link keyText}. Fixed at creation.
 */
export function positionOf(snapshot: Snapshot): string {
  const createdMs = Date.parse(snapshot.createdAt);
  return `${digits(Number.isNaN(createdMs) ? 0 : createdMs)}:${keyText(snapshot.id)}`;
}

export interface ListScan {
  /** Only positions below this one; `undefined`: from the newest on. */
  readonly below: string | undefined;
  /** Only positions from this one on; `undefined`: down to the oldest. */
  readonly from: string | undefined;
  readonly limit: number;
  /** The conditions that the position does not decide. */
  matches(snapshot: Snapshot): boolean;
}

/** Rejects a cursor that is none with `StoreBadCursor`; a limit or a time out of range is a `RangeError`. */
export function scanOf(query: ListQuery): ListScan {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > listLimitMax) {
    throw new RangeError(`A page holds 1..${listLimitMax} snapshots, not ${query.limit}.`);
  }
  const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor);
  const before = query.createdBefore === undefined ? undefined : digits(timeOf("createdBefore", query.createdBefore));
  const labels = Object.entries(query.labels ?? {});
  const phases = query.phases === undefined ? undefined : new Set(query.phases);
  return {
    below: cursor === undefined || (before !== undefined && before < cursor) ? before : cursor,
    from: query.createdSince === undefined ? undefined : digits(timeOf("createdSince", query.createdSince)),
    limit: query.limit,
    matches: (snapshot) =>
      (phases === undefined || phases.has(snapshot.phase)) &&
      labels.every(([name, value]) => Object.hasOwn(snapshot.labels, name) && snapshot.labels[name] === value),
  };
}

export function writeCursor(position: string): string {
  return Buffer.from(position, "latin1").toString("base64url");
}

function readCursor(cursor: string): string {
  const position = Buffer.from(cursor, "base64url").toString("latin1");
  if (!positionPattern.test(position) || writeCursor(position) !== cursor) {
    throw new StoreError("StoreBadCursor", "The cursor is not one that a list gave out. Begin again without a cursor.");
  }
  return position;
}

function timeOf(name: string, text: string): number {
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) {
    throw new RangeError(`${name} is not an RFC 3339 time.`);
  }
  return timeMs;
}

function digits(timeMs: number): string {
  return Math.max(0, timeMs).toString(16).padStart(millisecondDigits, "0");
}
