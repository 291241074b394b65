import type { Picture, Unit, Verdict } from "./history.ts";
import { type ChannelTimeline, type Moment, never, type Timeline } from "./timeline.ts";

interface Piece {
  readonly unit: number;
  readonly piece: number;
}

/**
 * I2 and the conservation of tokens: what was published is, frame by frame and token by token, what the history says
 * was there at the cuts.
 */
export function checkPicture(picture: Picture, timeline: Timeline): Verdict[] {
  const found: Verdict[] = [];
  const key = `${picture.id}/${picture.attempt}`;
  const wrong = (checker: string, message: string) => found.push({ checker, message: `${key}: ${message}` });
  const cutOf = (inc: string | undefined): Moment => timeline.cuts.get(`${inc} ${key}`) ?? never;
  const members = new Map(picture.processes.map((process) => [process.inc, process]));
  if (picture.exact !== picture.processes.every(({ exact }) => exact)) wrong("I4", "is exact though a capture was not");
  if (picture.processes.some(({ inc }) => cutOf(inc) === never)) {
    wrong("I2", "names a process that never cut for it");
    return found;
  }
  const pieces = new Map<number, number>();
  const tokens = new Map<string, number>();
  const count = (token: string) => tokens.set(token, (tokens.get(token) ?? 0) + 1);

  for (const { id, inc, stored } of picture.processes) {
    if (!stored) continue;
    const expected = heldAt(timeline, inc, cutOf(inc)).join("\n");
    const local = picture.parts.get(`local ${id}`);
    if (local !== expected) wrong("state", `the state of ${inc} is ${text(local)}, and was ${text(expected)}`);
    for (const token of lines(local)) count(token);
    const calls = openHandlersAt(timeline, inc, cutOf(inc)).join("\n");
    const recorded = picture.parts.get(`calls ${id}`) ?? "";
    if (recorded !== calls)
      wrong("state", `the calls in process at ${inc} are ${text(recorded)}, and were ${text(calls)}`);
  }
  const listed = new Map(picture.channels.map((channel) => [channel.id, channel]));
  for (const channel of timeline.channels.values()) {
    // What was stored and is not named in the picture is no part of it.
    const said = listed.get(channel.id);
    const outboxPart = (said?.outboxCount ?? 0) > 0 ? picture.parts.get(`outbox ${channel.id}`) : undefined;
    const part = (said?.recordedCount ?? 0) > 0 ? picture.parts.get(`channel ${channel.id}`) : undefined;
    const sender = members.get(channel.from ?? "");
    const receiver = members.get(channel.to ?? "");
    const sendCut = cutOf(channel.from);
    const receiveCut = cutOf(channel.to);
    const opened = sender !== undefined && channel.outOpened < sendCut && channel.outLost > sendCut;
    const outbox = opened ? waitingAt(timeline, channel, sendCut) : [];
    if (sender?.stored === true) {
      compare(outboxPart, outbox, false, (what) => wrong("I2", `the outbox of ${channel.id} ${what}`));
      countPieces(outboxPart, 0, pieces);
    }
    const inFlight = opened ? inFlightBetween(channel, sendCut, receiver === undefined ? -1 : receiveCut) : [];
    if (receiver === undefined) {
      if (inFlight.length > 0) wrong("I2", `${inFlight.length} frames on ${channel.id} went to nobody in the picture`);
      continue;
    }
    if (inFlight.length > 0 && channel.inLost < receiveCut) {
      wrong("I2", `${inFlight.length} frames on ${channel.id} were lost, and it was published all the same`);
    }
    if (receiver.stored) {
      compare(part, inFlight, true, (what) => wrong("I2", `the state of ${channel.id} ${what}`));
      countPieces(part, 1, pieces);
    }
    if (said !== undefined && said.recordedCount !== inFlight.length) {
      wrong("I2", `${channel.id} counts ${said.recordedCount} in flight, and ${inFlight.length} were`);
    }
  }
  for (const [id, seen] of pieces) {
    const unit = timeline.history.units[id];
    // A unit of which more is there than it has is there twice, and one of which something is missing is not.
    for (let whole = Math.floor(seen / (unit?.pieces ?? 1)); whole > 0; whole -= 1)
      for (const token of unit?.tokens ?? []) count(token);
  }
  if (picture.processes.every(({ stored }) => stored)) checkTokens(timeline, members, cutOf, tokens, wrong);
  else
    for (const [token, times] of tokens) if (times > 1) wrong("tokens", `the token ${token} is there ${times} times`);
  return found;
}

/** Follows every token through the history to where the cuts find it. */
function checkTokens(
  timeline: Timeline,
  members: ReadonlyMap<string, unknown>,
  cutOf: (inc: string | undefined) => Moment,
  tokens: ReadonlyMap<string, number>,
  wrong: (checker: string, message: string) => void,
): void {
  const journeys = new Map<string, Unit[]>();
  const bornAt = new Map<string, string>();
  for (const [inc, { tokens: own }] of timeline.born) for (const token of own) bornAt.set(token, inc);
  for (const unit of timeline.history.units) {
    for (const token of unit.tokens) {
      const journey = journeys.get(token);
      if (journey === undefined) journeys.set(token, [unit]);
      else journey.push(unit);
    }
  }
  for (const [token, mint] of bornAt) {
    // Where the last receipt inside the cuts left it; and the unit it went on with, if that was sent inside as well.
    let at: "nowhere" | "held" | Unit =
      members.has(mint) && (timeline.born.get(mint)?.at ?? never) < cutOf(mint) ? "held" : "nowhere";
    for (const unit of journeys.get(token) ?? []) {
      const { sender, sent, receiver, taken, discarded } = timeline.units[unit.id] ?? missing;
      if (members.has(sender) && sent < cutOf(sender)) at = unit;
      if (members.has(receiver) && taken < cutOf(receiver)) at = "held";
      const to = timeline.units[unit.id]?.channel?.to;
      if (discarded !== never && members.has(to ?? "") && discarded < cutOf(to)) at = "nowhere";
    }
    let expected = at === "nowhere" ? 0 : 1;
    if (typeof at === "object") {
      const channel = timeline.units[at.id]?.channel;
      const cut = cutOf(channel?.from);
      if (channel === undefined || channel.outLost < cut) expected = 0;
    }
    const times = tokens.get(token) ?? 0;
    if (times !== expected) wrong("tokens", `the token ${token} is there ${times} times, expected ${expected}`);
  }
}

const missing = { sender: "", sent: never, receiver: "", taken: never, discarded: never };

function heldAt({ history, born }: Timeline, inc: string, until: Moment): string[] {
  const held = new Set<string>(born.get(inc)?.tokens);
  for (let at = 0; at < until; at += 1) {
    const event = history.events[at];
    if (event === undefined || (event.type !== "sent" && event.type !== "received") || event.inc !== inc) continue;
    for (const token of history.units[event.unit]?.tokens ?? []) {
      if (event.type === "sent") held.delete(token);
      else if (event.fate === "taken") held.add(token);
    }
  }
  return [...held].sort();
}

/** Calls whose opening has been received and whose trailers have not been sent, on channels that live. */
function openHandlersAt({ history, channels }: Timeline, inc: string, until: Moment): string[] {
  const open = new Map<string, string>();
  for (let at = 0; at < until; at += 1) {
    const event = history.events[at];
    if (event === undefined || (event.type !== "sent" && event.type !== "received") || event.inc !== inc) continue;
    const unit = history.units[event.unit];
    if (unit?.kind === "open" && event.type === "received" && event.fate === "taken") open.set(unit.call, unit.channel);
    if (unit?.kind === "trailers" && event.type === "sent") open.delete(unit.call);
  }
  return [...open]
    .filter(([, channel]) => (channels.get(channel)?.inLost ?? never) > until)
    .map(([call]) => call)
    .sort();
}

/** Pieces sent by the application and not numbered then. */
function waitingAt({ history, units }: Timeline, channel: ChannelTimeline, cut: Moment): Piece[] {
  const numbered = new Set<string>();
  for (const { at, content } of channel.numbered) {
    if (at < cut && content.unit !== undefined) numbered.add(`${content.unit} ${content.piece}`);
  }
  const waiting: Piece[] = [];
  for (const unit of history.units) {
    if (units[unit.id]?.channel !== channel || (units[unit.id]?.sent ?? never) > cut) continue;
    for (let piece = 0; piece < unit.pieces; piece += 1) {
      if (!numbered.has(`${unit.id} ${piece}`)) waiting.push({ unit: unit.id, piece });
    }
  }
  return waiting;
}

function inFlightBetween(
  channel: ChannelTimeline,
  sendCut: Moment,
  receiveCut: Moment,
): (Piece & { number: number })[] {
  const inFlight: (Piece & { number: number })[] = [];
  for (const { at, number, content } of channel.numbered) {
    if (at > sendCut || content.unit === undefined) continue;
    if ((channel.received.get(number) ?? never) > receiveCut)
      inFlight.push({ number, unit: content.unit, piece: content.piece });
  }
  return inFlight;
}

/** A part as it should be: frames in the order of their numbers, an outbox call by call in any order of the calls. */
function compare(
  part: string | undefined,
  expected: readonly (Piece & { number?: number })[],
  numbered: boolean,
  report: (what: string) => void,
): void {
  const should = expected.map(({ number, unit, piece }) =>
    numbered ? `${number} ${unit} ${piece}` : `${unit} ${piece}`,
  );
  const is = lines(part);
  const same = numbered
    ? is.join("\n") === should.join("\n")
    : [...is].sort().join("\n") === [...should].sort().join("\n");
  if (!same) report(`is ${text(is.join(", "))}, and was ${text(should.join(", "))}`);
}

/** Counts the pieces of each unit that a part holds; the unit's number stands at this place of its lines. */
function countPieces(part: string | undefined, place: number, pieces: Map<number, number>): void {
  for (const line of lines(part)) {
    const unit = Number(line.split(" ")[place]);
    pieces.set(unit, (pieces.get(unit) ?? 0) + 1);
  }
}

function lines(part: string | undefined): string[] {
  return part === undefined || part === "" ? [] : part.split("\n");
}

function text(part: string | undefined): string {
  return part === undefined ? "missing" : `[${part.replaceAll("\n", ", ")}]`;
}
