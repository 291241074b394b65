/** What applications say to each other here: every message can be made from its call, its direction and its number alone. */

/** How many messages go each way: unary 1 and 1, upload n and 1, download 1 and n, chat n and n. */
export type CallKind = "unary" | "upload" | "download" | "chat";

/** `>`: from the caller. `<`: from the callee. */
export type Direction = ">" | "<";

/** One run of one application: its name and how often it was started. */
export interface Party {
  readonly name: string;
  readonly run: number;
}

/** A call's name carries all that both ends must know of it. */
export interface CallName {
  readonly kind: CallKind;
  readonly caller: Party;
  readonly callee: string;
  /** From 1, for each caller's run and callee. */
  readonly number: number;
  /** Of a direction that is a stream. */
  readonly messages: number;
  /** The caller's calls to this callee with numbers below it are all over. */
  readonly floor: number;
}

export interface Message {
  readonly call: string;
  readonly direction: Direction;
  /** From 1. */
  readonly sequence: number;
  /** What leaves the sender's account with the message and comes to the receiver's. */
  readonly tokens: number;
  readonly sender: Party;
}

class DamagedMessage extends Error {
  readonly code = "DamagedMessage";
}

export function nameCall({ kind, caller, callee, number, messages, floor }: CallName): string {
  return [kind, caller.name, caller.run, callee, number, messages, floor].join("/");
}

export function parseCall(name: string): CallName {
  const [kind, caller = "", run, callee = "", number, messages, floor] = name.split("/");
  if (kind !== "unary" && kind !== "upload" && kind !== "download" && kind !== "chat") {
    throw new DamagedMessage(`"${name}" names no call`);
  }
  return {
    kind,
    caller: { name: caller, run: Number(run) },
    callee,
    number: Number(number),
    messages: Number(messages),
    floor: Number(floor),
  };
}

export function messagesOf({ kind, messages }: CallName, direction: Direction): number {
  const streams = direction === ">" ? ["upload", "chat"] : ["download", "chat"];
  return streams.includes(kind) ? messages : 1;
}

export function makeMessage(call: string, direction: Direction, sequence: number, sender: Party): Buffer {
  const seed = hash(`${call} ${direction} ${sequence}`);
  const header = `${call} ${direction} ${sequence} ${tokensOf(seed)} ${sender.name} ${sender.run}\n`;
  const message = Buffer.alloc(header.length + paddingBytes(seed), 97 + (seed % 26));
  message.write(header, "latin1");
  return message;
}

/** Throws {@link DamagedMessage} when a single byte is not as it was sent. */
export function readMessage(bytes: Buffer): Message {
  const header = bytes.subarray(0, Math.max(0, bytes.indexOf(10))).toString("latin1");
  const [call = "", direction, sequenceText, tokens, name = "", run] = header.split(" ");
  const sequence = Number(sequenceText);
  if (direction !== ">" && direction !== "<") throw new DamagedMessage(`no message begins with "${header}"`);
  const sender = { name, run: Number(run) };
  if (!makeMessage(call, direction, sequence, sender).equals(bytes)) {
    throw new DamagedMessage(`message ${header} of ${bytes.length} bytes is not as it was sent`);
  }
  return { call, direction, sequence, tokens: Number(tokens), sender };
}

function tokensOf(seed: number): number {
  return 1 + (seed % 1_000);
}

/** Most are small, some go in several frames, and a few are beyond the credit that a call begins with. */
function paddingBytes(seed: number): number {
  if (seed % 2_000 === 0) return 400_000;
  if (seed % 60 === 0) return 30_000;
  return seed % 300;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
