import type { RecordedFrame } from "@cutline/proto/snapshot";
import { StateError } from "./errors.ts";
import type { StateLimits } from "./limits.ts";
import type { Direction } from "./payloads.ts";

/** Which end recorded it: the receiver, the sender, or each of them some pieces. */
type MessageSource = "records" | "outbox" | "both";

export interface JoinedMessage {
  readonly callId: number;
  readonly method: string;
  readonly direction: Direction;
  readonly messageIndex: number;
  readonly source: MessageSource;
  /** False: pieces are missing, or its length prefix does not add up. */
  readonly complete: boolean;
  readonly compressed: boolean;
  /** Without the length prefix as far as that was recorded; `undefined`: too large to be joined. */
  readonly payload: Buffer | undefined;
}

export interface MessageAssembler {
  /** Takes MESSAGE frames in the order of their channel; answers with the message that this piece ended. */
  add(frame: RecordedFrame, source: "records" | "outbox"): JoinedMessage | undefined;
  /** What never got its last piece. */
  end(): Iterable<JoinedMessage>;
}

/** What an open message costs besides its bytes; all of them together have `assemblyBytesMax` too. */
const entryBytes = 512;

/** What each piece that is held costs besides its bytes. */
const pieceBytes = 128;

/** Flag and length. */
const prefixBytes = 5;

interface OpenMessage {
  readonly callId: number;
  readonly method: string;
  readonly direction: Direction;
  readonly messageIndex: number;
  readonly firstOffset: number;
  readonly messageBytes: number;
  source: MessageSource;
  nextOffset: number;
  /** Every piece so far followed the one before. */
  contiguous: boolean;
  /** `undefined`: beyond a limit, the bytes were let go. */
  pieces: Buffer[] | undefined;
}

/** Joins the pieces of messages; `limits` bound what it holds. */
export function createMessageAssembler(
  limits: Pick<StateLimits, "messageBytesMax" | "assemblyBytesMax">,
): MessageAssembler {
  const open = new Map<string, OpenMessage>();
  let heldBytes = 0;

  function begin(key: string, frame: RecordedFrame, source: MessageSource): OpenMessage {
    if ((open.size + 1) * entryBytes > limits.assemblyBytesMax) {
      throw new StateError(
        "StateTooLarge",
        `${open.size} messages of one channel are open at once, more than assemblyBytesMax ${limits.assemblyBytesMax} allows`,
      );
    }
    const message: OpenMessage = {
      callId: frame.callId,
      method: frame.method,
      direction: frame.forward ? "request" : "response",
      messageIndex: frame.messageIndex,
      firstOffset: frame.pieceOffsetBytes,
      messageBytes: frame.messageBytes,
      source,
      nextOffset: frame.pieceOffsetBytes,
      contiguous: true,
      pieces: frame.messageBytes > limits.messageBytesMax ? undefined : [],
    };
    open.set(key, message);
    return message;
  }

  function append(message: OpenMessage, frame: RecordedFrame): void {
    if (frame.pieceOffsetBytes !== message.nextOffset || frame.messageBytes !== message.messageBytes) {
      message.contiguous = false;
      return;
    }
    // An empty piece would cost a place and count for nothing.
    if (frame.payload.length === 0) return;
    message.nextOffset += frame.payload.length;
    if (message.pieces === undefined) {
      return;
    }
    if (
      message.nextOffset > limits.messageBytesMax ||
      heldBytes + frame.payload.length + pieceBytes > limits.assemblyBytesMax
    ) {
      heldBytes -= bytesOf(message.pieces);
      message.pieces = undefined;
      return;
    }
    message.pieces.push(frame.payload);
    heldBytes += frame.payload.length + pieceBytes;
  }

  function close(key: string, message: OpenMessage): JoinedMessage {
    open.delete(key);
    heldBytes -= bytesOf(message.pieces ?? []);
    return joined(message);
  }

  return {
    add(frame, source) {
      const key = `${frame.callId}/${frame.forward ? 1 : 0}/${frame.messageIndex}`;
      const message = open.get(key) ?? begin(key, frame, source);
      if (message.source !== source) {
        message.source = "both";
      }
      append(message, frame);
      return message.nextOffset >= message.messageBytes ? close(key, message) : undefined;
    },
    *end() {
      for (const [key, message] of open) {
        yield close(key, message);
      }
    },
  };
}

function bytesOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length + pieceBytes, 0);
}

function joined(message: OpenMessage): JoinedMessage {
  const { callId, method, direction, messageIndex, source, messageBytes } = message;
  const wholeRange = message.contiguous && message.firstOffset === 0 && message.nextOffset === messageBytes;
  const identity = { callId, method, direction, messageIndex, source };
  if (message.pieces === undefined) {
    return { ...identity, complete: wholeRange, compressed: false, payload: undefined };
  }
  const bytes = Buffer.concat(message.pieces);
  if (message.firstOffset !== 0 || bytes.length < prefixBytes) {
    return { ...identity, complete: false, compressed: false, payload: bytes };
  }
  return {
    ...identity,
    complete: wholeRange && bytes.readUInt32BE(1) === bytes.length - prefixBytes,
    compressed: isCompressed(bytes),
    payload: bytes.subarray(prefixBytes),
  };
}

function isCompressed(bytes: Buffer): boolean {
  return (bytes[0] ?? 0) !== 0;
}

/** One message with its prefix, as the request of a call in process is kept. */
export function splitPrefix(bytes: Buffer): { complete: boolean; compressed: boolean; payload: Buffer } {
  if (bytes.length < prefixBytes) {
    return { complete: false, compressed: false, payload: bytes };
  }
  return {
    complete: bytes.readUInt32BE(1) === bytes.length - prefixBytes,
    compressed: isCompressed(bytes),
    payload: bytes.subarray(prefixBytes),
  };
}
