import { FrameKind, RecordedFrame } from "@cutline/proto/snapshot";
import { type SnapshotRef, snapshotKey } from "@cutline/protocol";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { OutboundItem } from "../dataplane/call/outbound-queue.ts";
import { FrameType, unpin } from "../dataplane/link/codec.ts";
import type { ArrivedFrame } from "../dataplane/link/frame.ts";
import { decodeHeaders } from "../dataplane/link/headers.ts";

export interface KeptRecord {
  readonly frame: ArrivedFrame;
  readonly call: CallEnd | undefined;
}

export interface ChannelRecords {
  readonly encoded: readonly Uint8Array[];
  readonly messages: number;
}

type KeepOutcome = { readonly outcome: "kept" } | { readonly outcome: "full"; readonly message: string };

/**
 * Keeps the frames of channel states by reference until they are uploaded. Bounded over all snapshots by
 * `recordedBytesMax`.
 */
export class Recorder {
  readonly #recordedBytesMax: number;
  readonly #channels = new Map<string, Map<string, KeptRecord[]>>();
  readonly #bytes = new Map<string, number>();
  #totalBytes = 0;

  constructor(recordedBytesMax: number) {
    this.#recordedBytesMax = recordedBytesMax;
  }

  keep(ref: SnapshotRef, channel: string, record: KeptRecord): KeepOutcome {
    const key = snapshotKey(ref);
    const bytes = record.frame.payload.length + recordOverheadBytes;
    if (this.#totalBytes + bytes > this.#recordedBytesMax) {
      const message = `the frames in flight exceed ${this.#recordedBytesMax} bytes, this agent's limit for recording`;
      return { outcome: "full", message };
    }
    unpin(record.frame);
    let channels = this.#channels.get(key);
    if (channels === undefined) {
      channels = new Map();
      this.#channels.set(key, channels);
    }
    const records = channels.get(channel);
    if (records === undefined) channels.set(channel, [record]);
    else records.push(record);
    this.#bytes.set(key, (this.#bytes.get(key) ?? 0) + bytes);
    this.#totalBytes += bytes;
    return { outcome: "kept" };
  }

  /** The channel's frames in the order of their numbers, each behind its length as a varint. */
  encode(ref: SnapshotRef, channel: string): ChannelRecords {
    const records = this.#channels.get(snapshotKey(ref))?.get(channel) ?? [];
    const messages = new Set<string>();
    const encoded = records.map(({ frame, call }) => {
      const forward = call?.role === "callee";
      const messageIndex = frame.role.part === "message" ? frame.role.index : 0;
      if (frame.type === FrameType.message) messages.add(`${frame.callId}/${forward}/${messageIndex}`);
      return encodeRecord({
        number: frame.number,
        callId: frame.callId,
        type: frame.type,
        method: call?.method ?? "",
        payload: frame.payload,
        messageIndex,
        offsetBytes: frame.offsetBytes,
        messageBytes: frame.messageBytes,
        forward,
      });
    });
    return { encoded, messages: messages.size };
  }

  drop(ref: SnapshotRef): void {
    const key = snapshotKey(ref);
    this.#channels.delete(key);
    this.#totalBytes -= this.#bytes.get(key) ?? 0;
    this.#bytes.delete(key);
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }
}

/** The outbox of one channel: what calls on it had sent before the cut and the link had not numbered. */
export function encodeOutbox(waiting: readonly { call: CallEnd; items: readonly OutboundItem[] }[]): ChannelRecords {
  const messages = new Set<string>();
  const encoded: Uint8Array[] = [];
  for (const { call, items } of waiting) {
    const forward = call.role === "caller";
    for (const item of items) {
      const messageIndex = item.role.part === "message" ? item.role.index : 0;
      if (item.type === FrameType.message) messages.add(`${call.callId}/${forward}/${messageIndex}`);
      encoded.push(
        encodeRecord({
          number: 0,
          callId: call.callId,
          type: item.type,
          method: call.method,
          payload: item.payload,
          messageIndex,
          offsetBytes: item.offsetBytes,
          messageBytes: item.messageBytes,
          forward,
        }),
      );
    }
  }
  return { encoded, messages: messages.size };
}

/** What a record takes beside its payload, roughly, in memory. */
const recordOverheadBytes = 128;

const kinds: Readonly<Record<number, FrameKind>> = {
  [FrameType.open]: FrameKind.OPEN,
  [FrameType.message]: FrameKind.MESSAGE,
  [FrameType.halfClose]: FrameKind.HALF_CLOSE,
  [FrameType.headers]: FrameKind.HEADERS,
  [FrameType.trailers]: FrameKind.TRAILERS,
  [FrameType.reset]: FrameKind.RESET,
};

interface RecordSource {
  readonly number: number;
  readonly callId: number;
  readonly type: number;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly messageIndex: number;
  readonly offsetBytes: number;
  readonly messageBytes: number;
  readonly forward: boolean;
}

function encodeRecord(source: RecordSource): Uint8Array {
  const payload = Buffer.from(source.payload.buffer, source.payload.byteOffset, source.payload.byteLength);
  const isBlock =
    source.type === FrameType.open || source.type === FrameType.headers || source.type === FrameType.trailers;
  const record = RecordedFrame.fromPartial({
    number: source.number,
    callId: source.callId,
    kind: kinds[source.type] ?? FrameKind.UNSPECIFIED,
    method: source.method,
    headers: isBlock ? toHeaders(decodeHeaders(payload)) : [],
    payload: source.type === FrameType.message ? payload : Buffer.alloc(0),
    messageIndex: source.messageIndex,
    pieceOffsetBytes: source.offsetBytes,
    messageBytes: source.messageBytes,
    resetCode: source.type === FrameType.reset && payload.length >= 4 ? payload.readUInt32BE(0) : 0,
    forward: source.forward,
  });
  return delimited(RecordedFrame.encode(record).finish());
}

function toHeaders(list: readonly string[]): { name: string; value: Buffer }[] {
  const headers: { name: string; value: Buffer }[] = [];
  for (let i = 0; i < list.length; i += 2) {
    headers.push({ name: list[i] ?? "", value: Buffer.from(list[i + 1] ?? "", "latin1") });
  }
  return headers;
}

/** A record behind its length as a protobuf varint. */
export function delimited(record: Uint8Array): Uint8Array {
  const prefix: number[] = [];
  let length = record.length;
  while (length > 127) {
    prefix.push((length & 127) | 128);
    length >>>= 7;
  }
  prefix.push(length);
  return Buffer.concat([Uint8Array.from(prefix), record]);
}
