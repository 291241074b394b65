import { type ConfigDefinition, type ConfigOf, Secret } from "@cutline/runtime";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";

/** Rows of one page; what is beyond is counted. */
const rowsMax = 200;

export interface Listing<Row> {
  readonly rows: readonly Row[];
  /** All there are; of them `rows` shows the first 200, for calls those that are open longest. */
  readonly total: number;
}

export interface LinkRow {
  readonly peer: string;
  readonly linkId: string;
  readonly role: string;
  readonly phase: "connected" | "broken" | "connecting";
  readonly openCalls: number;
  readonly resumes: number;
  readonly sentFrames: number;
  readonly receivedFrames: number;
  readonly unacknowledgedBytes: number;
  readonly waitingBytes: number;
  readonly keptBytes: number;
}

export function linkRows(plane: DataPlane): Listing<LinkRow> {
  const links = [...plane.driver.links.values()].slice(0, rowsMax);
  const rows = links.map((link): LinkRow => {
    let [waitingBytes, keptBytes] = [0, 0];
    for (const call of link.calls.values()) {
      waitingBytes += call.outbound.bytes;
      keptBytes += call.inbound.bytes;
    }
    return {
      peer: link.peer.processId,
      linkId: link.id,
      role: link.role,
      phase: link.connected ? "connected" : link.attachments > 0 ? "broken" : "connecting",
      openCalls: link.calls.size,
      resumes: Math.max(0, link.attachments - 1),
      sentFrames: link.lastSent,
      receivedFrames: link.receivedThrough,
      unacknowledgedBytes: link.unacknowledgedBytes,
      waitingBytes,
      keptBytes,
    };
  });
  return { rows, total: plane.driver.links.size };
}

export interface CallRow {
  readonly direction: "inbound" | "outbound";
  readonly peer: string;
  readonly authority: string;
  readonly method: string;
  readonly ageMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly state: string;
}

/** The calls that are open, the oldest first. */
export function callRows(plane: DataPlane, now: () => number): Listing<CallRow> {
  const nowMs = now();
  const rows: CallRow[] = [];
  for (const link of plane.driver.links.values()) {
    for (const call of link.calls.values()) rows.push(callRow(call, nowMs));
  }
  for (const { counted, sentBytes, receivedBytes } of plane.book.environmentCalls) {
    const { direction, names } = counted.series;
    const ageMs = Math.round(nowMs - counted.beganAtMs);
    rows.push({ direction, ...names, ageMs, sentBytes, receivedBytes, state: "passed through" });
  }
  rows.sort((a, b) => b.ageMs - a.ageMs);
  return { rows: rows.slice(0, rowsMax), total: rows.length };
}

function callRow(call: CallEnd, nowMs: number): CallRow {
  const { direction, names } = call.counted.series;
  return {
    direction,
    ...names,
    // What is counted as `other` is listed under its own name.
    peer: call.link.peer.processId,
    method: call.method,
    ageMs: Math.round(nowMs - call.counted.beganAtMs),
    sentBytes: call.sentBytes,
    receivedBytes: call.receivedBytes,
    state: stateOf(call),
  };
}

function stateOf(call: CallEnd): string {
  if (call.isBackedUp) return "backed up";
  if (!call.link.connected) return "link is not connected";
  if (call.role === "callee") {
    if (!call.isHanded) return "waiting for the application";
    return call.isInProcess ? "in process" : "answered";
  }
  if (call.isAnswerInPart) return "being answered";
  return call.isSilent ? "request sent" : "request open";
}

export interface SettingRow {
  readonly variable: string;
  readonly value: unknown;
  readonly default: unknown;
  readonly meaning: string;
}

/** Every setting with its value; secrets say `[redacted]`. */
export function settingRows<Definition extends ConfigDefinition>(
  definition: Definition,
  config: ConfigOf<Definition>,
): Listing<SettingRow> {
  const values = config as Readonly<Record<string, unknown>>;
  const rows = Object.entries(definition.table).map(([key, setting]) => ({
    variable: setting.variable,
    value: shown(values[key]),
    default: shown(setting.defaultValue),
    meaning: setting.doc,
  }));
  return { rows, total: rows.length };
}

function shown(value: unknown): unknown {
  if (value instanceof Secret) return value.toString();
  return value === undefined ? null : typeof value === "string" ? withoutPassword(value) : value;
}

/** A URL may carry a password. */
function withoutPassword(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@:]*):[^/@]*@/i, "$1:[redacted]@");
}
