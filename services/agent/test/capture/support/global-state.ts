import { FrameKind, RecordedFrame } from "@cutline/proto/snapshot";
import { type ChannelEvidence, checkCertificate, nothingReported, type SnapshotRef } from "@cutline/protocol";
import { type Direction, decodeMessage, type LedgerState, type NumberedMessage } from "./ledger.ts";
import type { Member } from "./member.ts";

/** One snapshot, put together from what all members said of it, and judged twice: by the certificate, and by the ledgers. */
export interface Judgement {
  readonly exact: boolean;
  /** `process: Code` for each reason. */
  readonly reasons: readonly string[];
  /** By the certificate. */
  readonly violations: readonly string[];
  /** By the ledgers: each message that is not where it has to be. */
  readonly wrong: readonly string[];
  /** Of these, messages between two processes that have both called themselves exact. */
  readonly wrongAmongExact: readonly string[];
  readonly inFlightMessages: number;
  readonly states: ReadonlyMap<string, LedgerState>;
}

/** `link call` to the key of the call in the ledgers, as learned from messages seen in flight. */
export type CallKeys = Map<string, string>;

/** Throws when a member failed. */
export async function judge(
  members: readonly Member[],
  ref: SnapshotRef,
  keys: CallKeys = new Map(),
): Promise<Judgement> {
  const states = new Map<string, LedgerState>();
  const reasons: string[] = [];
  for (const member of members) {
    const { cut, failure } = member.contribution(ref);
    if (failure !== undefined) throw new Error(`${member.id} failed: ${failure}`);
    if (cut === undefined) throw new Error(`${member.id} has not cut`);
    for (const { code, message } of cut.result.reasons) reasons.push(`${member.id}: ${code} (${message})`);
    states.set(member.id, JSON.parse(await readState(member, ref)) as LedgerState);
  }
  const exact = members.every((member) => member.contribution(ref).cut?.result.exact);
  const frames = framesInFlight(members, ref);
  const { violations } = checkCertificate(evidenceOf(members, ref));
  const { wrong, inFlightMessages } = compare(states, frames, keys);
  const exactIds = new Set(members.filter((each) => each.contribution(ref).cut?.result.exact).map(({ id }) => id));
  const wrongAmongExact = wrong.filter((what) => {
    const [, from, to] = /^(\S+?)>(\S+?)#/.exec(what) ?? [];
    return from === undefined || to === undefined || (exactIds.has(from) && exactIds.has(to));
  });
  return {
    exact,
    reasons,
    violations: violations.map(({ message }) => message),
    wrong,
    wrongAmongExact,
    inFlightMessages,
    states,
  };
}

async function readState(member: Member, ref: SnapshotRef): Promise<string> {
  const spool = await member.contribution(ref).cut?.result.state.bytes;
  if (spool === undefined) throw new Error(`${member.id} has no state`);
  const chunks: Buffer[] = [];
  for await (const chunk of spool.stream()) chunks.push(Buffer.from(chunk));
  await spool.discard();
  return Buffer.concat(chunks).toString();
}

interface InFlight {
  readonly channel: string;
  readonly frame: RecordedFrame;
}

/** The channel states: frames that the receivers recorded, then the senders' outboxes. */
function framesInFlight(members: readonly Member[], ref: SnapshotRef): InFlight[] {
  const frames: InFlight[] = [];
  for (const member of members) {
    for (const [channel, { records }] of member.contribution(ref).channels) {
      for (const frame of decodeRecords(records.encoded)) frames.push({ channel, frame });
    }
  }
  for (const member of members) {
    for (const [channel, { encoded }] of member.contribution(ref).cut?.result.outboxes ?? []) {
      for (const frame of decodeRecords(encoded)) frames.push({ channel, frame });
    }
  }
  return frames;
}

function* decodeRecords(encoded: readonly Uint8Array[]): Generator<RecordedFrame> {
  for (const bytes of encoded) {
    let at = 0;
    while ((bytes[at] ?? 0) >= 128) at += 1;
    yield RecordedFrame.decode(bytes.subarray(at + 1));
  }
}

function evidenceOf(members: readonly Member[], ref: SnapshotRef): ChannelEvidence[] {
  const evidence = new Map<string, ChannelEvidence>();
  for (const member of members) {
    for (const { channel, to, ...sent } of member.contribution(ref).cut?.facts.outgoing ?? []) {
      evidence.set(channel, { ...nothingReported(channel), ...sent, from: member.id, to, senderReported: true });
    }
  }
  for (const member of members) {
    for (const { facts } of member.contribution(ref).channels.values()) {
      const { ref: _, channel, from, ...received } = facts;
      const known = evidence.get(channel) ?? { ...nothingReported(channel), from, to: member.id };
      evidence.set(channel, { ...known, ...received, receiverReported: true });
    }
  }
  return [...evidence.values()];
}

/** Every message is where it has to be: received in the receiver's state or in flight, once, exactly when it was sent. */
function compare(
  states: ReadonlyMap<string, LedgerState>,
  frames: readonly InFlight[],
  keys: CallKeys,
): { wrong: string[]; inFlightMessages: number } {
  const wrong: string[] = [];
  const flying = new Map<string, number[]>();
  const cutShort: { call: string; direction: Direction; index: number; what: string }[] = [];
  /** Parts of calls that their receiver had forgotten when something of them came. */
  const strays = new Set<string>();
  let inFlightMessages = 0;
  for (const { call, direction, pieces } of messagesOf(frames)) {
    const bytes = Buffer.concat(pieces.map(({ payload }) => payload));
    const expected = pieces[0]?.messageBytes ?? 0;
    const index = pieces[0]?.messageIndex;
    let offset = 0;
    for (const piece of pieces) {
      if (piece.pieceOffsetBytes === offset) offset += piece.payload.length;
    }
    if (offset !== expected) {
      cutShort.push({ call, direction, index: index ?? 0, what: `${offset} of ${expected} bytes are in flight` });
      continue;
    }
    const message = decodeMessage(bytes.subarray(5));
    if (message.index !== index) wrong.push(`${call}: message ${message.index} is recorded as number ${index}`);
    keys.set(call, message.key);
    const part = `${message.key}|${message.direction}`;
    const known = flying.get(part);
    if (known === undefined) flying.set(part, [message.index]);
    else known.push(message.index);
    inFlightMessages += 1;
  }
  for (const message of strayMessages(frames)) {
    const part = `${message.key}|${message.direction}`;
    flying.set(part, [...(flying.get(part) ?? []), message.index]);
    strays.add(part);
  }
  const sent = merge(states, "sent", wrong);
  const received = merge(states, "received", wrong);
  const ended = new Map<string, string>();
  for (const state of states.values()) for (const [key, how] of Object.entries(state.ended)) ended.set(key, how);
  for (const part of new Set([...sent.keys(), ...received.keys(), ...flying.keys()])) {
    const sentCount = sent.get(part) ?? 0;
    const receivedCount = received.get(part) ?? 0;
    const indexes = [...(flying.get(part) ?? [])].sort((a, b) => a - b);
    const key = part.slice(0, part.indexOf("|"));
    const callerEnd = ended.get(`${key}|caller`);
    const calleeEnd = ended.get(`${key}|callee`);
    const mayLose = mayHaveLost(part.endsWith("|request") ? "request" : "answer", callerEnd, calleeEnd);
    const facts = `sent ${sentCount}, received ${receivedCount}, in flight [${indexes}], ended ${callerEnd}/${calleeEnd}`;
    if (receivedCount > sentCount) wrong.push(`${part}: received before it was sent: ${facts}`);
    if (new Set(indexes).size !== indexes.length) wrong.push(`${part}: in flight twice: ${facts}`);
    if (indexes.some((index) => index < receivedCount)) wrong.push(`${part}: received and in flight: ${facts}`);
    if (indexes.some((index) => index >= sentCount)) wrong.push(`${part}: in flight and not sent: ${facts}`);
    if (!mayLose && strays.has(part)) wrong.push(`${part}: in flight without its place: ${facts}`);
    if (!mayLose && receivedCount + indexes.length < sentCount) wrong.push(`${part}: nowhere: ${facts}`);
  }
  // Pieces of a message may be left of a call that has ended, and then the message is nowhere, which was looked at above.
  for (const { call, direction, index, what } of cutShort) {
    const key = keys.get(call);
    const part = `${key}|${direction}`;
    if (key !== undefined && (received.get(part) ?? 0) > index)
      wrong.push(`${part}: ${index} was received, and ${what}`);
  }
  return { wrong, inFlightMessages };
}

/** A call that is over at one end may have lost what was on its way, but never an answer on its way to a caller that waits. */
function mayHaveLost(
  direction: "request" | "answer",
  callerEnd: string | undefined,
  calleeEnd: string | undefined,
): boolean {
  if (direction === "request") return callerEnd !== undefined || calleeEnd !== undefined;
  return (callerEnd !== undefined && callerEnd !== "OK") || calleeEnd === "cancelled";
}

/** Pieces by message, in the order in which they stand: recorded ones first, then the outbox. */
function messagesOf(frames: readonly InFlight[]): PiecesOfMessage[] {
  const messages = new Map<string, PiecesOfMessage & { pieces: RecordedFrame[] }>();
  for (const { channel, frame } of frames) {
    if (frame.kind !== FrameKind.MESSAGE) continue;
    // What comes for a call that its receiver has forgotten; it is in flight, and nobody will receive it.
    if (frame.method === "") continue;
    const direction = frame.forward ? "request" : "answer";
    const call = `${linkOf(channel)} ${frame.callId}`;
    const id = `${call} ${direction} ${frame.messageIndex}`;
    const known = messages.get(id);
    if (known !== undefined) known.pieces.push(frame);
    else messages.set(id, { call, direction, pieces: [frame] });
  }
  return [...messages.values()];
}

/** Whole messages that are recorded without their call. */
function* strayMessages(frames: readonly InFlight[]): Generator<NumberedMessage> {
  for (const { frame } of frames) {
    if (frame.kind !== FrameKind.MESSAGE || frame.method !== "") continue;
    const { payload } = frame;
    if (payload.length > 5 && payload.readUInt32BE(1) + 5 === payload.length) yield decodeMessage(payload.subarray(5));
  }
}

interface PiecesOfMessage {
  readonly call: string;
  readonly direction: Direction;
  readonly pieces: readonly RecordedFrame[];
}

function linkOf(channel: string): string {
  return channel.slice(0, channel.lastIndexOf(":"));
}

function merge(states: ReadonlyMap<string, LedgerState>, what: "sent" | "received", wrong: string[]) {
  const merged = new Map<string, number>();
  for (const state of states.values()) {
    for (const [part, count] of Object.entries(state[what])) {
      if (merged.has(part)) wrong.push(`${part}: ${what} by two processes`);
      merged.set(part, (merged.get(part) ?? 0) + count);
    }
  }
  return merged;
}
