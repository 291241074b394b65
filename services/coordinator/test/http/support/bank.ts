import { CallInProcess, FrameKind, RecordedFrame, Snapshot } from "@cutline/proto/snapshot";
import { MemoryParts, MemorySnapshots, sha256 } from "./fakes.ts";

export const transferMethod = "/bank.v1.Bank/Transfer";
export const branchA = "bank/branch-a";
export const branchB = "bank/branch-b";
const vault = "bank/vault";
export const channelId = "link1:0";
export const stateText = '{"balance":"€ 12","note":"\u{1f4b6} \\"quoted\\"\\n"}';
export const vaultBytes = Buffer.from([0, 255, 254, 10, 13, 65]);

/** `bank.v1.TransferRequest{account: "alice", cents: 42}` in protobuf. */
export const transferBytes = Buffer.from([0x0a, 5, ...Buffer.from("alice"), 0x10, 42]);

export function withPrefix(payload: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(payload.length, 1);
  return Buffer.concat([prefix, payload]);
}

export function delimited(records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(records.flatMap((record) => [varint(record.length), record]));
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | 128);
  }
  return Buffer.from([...bytes, rest]);
}

function frames(list: readonly Parameters<typeof RecordedFrame.fromPartial>[0][]): Buffer {
  return delimited(list.map((frame) => RecordedFrame.encode(RecordedFrame.fromPartial(frame)).finish()));
}

export interface Bank {
  readonly snapshot: Snapshot;
  readonly snapshots: MemorySnapshots;
  readonly parts: MemoryParts;
}

/**
 * A completed snapshot of three processes and one channel. On the channel stand: a whole transfer, one whose second
 * piece is in the outbox, a compressed one, and one whose first piece was delivered already.
 */
export function createBank(): Bank {
  const parts = new MemoryParts();
  const snapshots = new MemorySnapshots();
  const id = "01JBANK";
  const keyOf = (kind: "local" | "calls" | "channel" | "outbox", owner: string) => ({
    snapshotId: id,
    attempt: 2,
    kind,
    owner,
  });
  const local = parts.put(keyOf("local", branchA), Buffer.from(stateText), "application/json");
  // Says that it is text, and is not.
  const liar = parts.put(keyOf("local", branchB), vaultBytes, "text/plain");
  const calls = parts.put(
    keyOf("calls", branchA),
    delimited([
      CallInProcess.encode(
        CallInProcess.fromPartial({
          incomingId: 7,
          linkId: "link1",
          callId: 3,
          from: branchB,
          method: transferMethod,
          messagesReceived: 1,
          waitsFor: [{ outgoingId: 9, linkId: "link2", callId: 1, to: vault, method: transferMethod }],
          request: withPrefix(transferBytes),
        }),
      ).finish(),
    ]),
  );
  const whole = withPrefix(transferBytes);
  const message = { kind: FrameKind.MESSAGE, method: transferMethod, forward: true, messageBytes: whole.length };
  const records = parts.put(
    keyOf("channel", channelId),
    frames([
      {
        number: 4,
        callId: 1,
        kind: FrameKind.OPEN,
        method: transferMethod,
        forward: true,
        headers: [
          { name: "x-user", value: Buffer.from("änne") },
          { name: "x-raw", value: Buffer.from([0xff, 0x00]) },
        ],
      },
      { ...message, number: 5, callId: 1, payload: whole },
      { ...message, number: 6, callId: 2, payload: whole.subarray(0, 6) },
      { ...message, number: 7, callId: 3, payload: withPrefix(transferBytes, 1) },
      { ...message, number: 8, callId: 4, payload: whole.subarray(6), pieceOffsetBytes: 6 },
      { number: 9, callId: 1, kind: FrameKind.HALF_CLOSE, method: transferMethod, forward: true },
      { number: 10, callId: 5, kind: FrameKind.RESET, method: transferMethod, resetCode: 8 },
    ]),
  );
  const outbox = parts.put(
    keyOf("outbox", channelId),
    frames([{ ...message, callId: 2, payload: whole.subarray(6), pieceOffsetBytes: 6 }]),
  );
  const snapshot = Snapshot.fromPartial({
    id,
    phase: "Completed",
    attempt: 2,
    attemptsMax: 3,
    term: 5,
    labels: { app: "bank" },
    scope: { namespaces: ["bank"], labelSelector: {} },
    createdAt: "2026-01-01T00:00:00.000Z",
    startedAt: "2026-01-01T00:00:00.010Z",
    endedAt: "2026-01-01T00:00:01.000Z",
    timeoutMs: 30_000,
    durationMs: 1_000,
    exact: true,
    progress: { processesTotal: 3, processesCut: 3 },
    processes: [
      {
        id: branchA,
        incarnation: "i1",
        phase: "Stored",
        captureSource: "participant",
        exact: true,
        contentType: "application/json",
        stateBytes: local.sizeBytes,
        stateSha256: local.sha256,
        callsInProcess: 1,
        callsSha256: calls.sha256,
        callsBytes: calls.sizeBytes,
        stored: true,
        environment: [{ authority: "outside:443", direction: "outbound", calls: 1, openCalls: 0 }],
      },
      {
        id: branchB,
        incarnation: "i2",
        phase: "Stored",
        captureSource: "http",
        contentType: "text/plain",
        stateBytes: liar.sizeBytes,
        stateSha256: liar.sha256,
        stored: true,
        reasons: [{ code: "CallsInProcess", message: "One call was in process.", processId: branchB }],
      },
      { id: vault, incarnation: "i3", phase: "Cut", captureSource: "none", stored: false },
    ],
    channels: [
      {
        id: channelId,
        from: branchA,
        to: branchB,
        sentAtCut: 10,
        markerNumber: 11,
        deliveredAtCut: 3,
        deliveredSum: 6,
        deliveredMax: 3,
        recorded: [{ first: 4, last: 10 }],
        recordedCount: 7,
        recordsBytes: records.sizeBytes,
        recordsSha256: records.sha256,
        outboxCount: 1,
        outboxBytes: outbox.sizeBytes,
        outboxSha256: outbox.sha256,
        messages: 4,
        verdict: "consistent",
        senderReported: true,
        receiverReported: true,
      },
      {
        id: "link1:1",
        from: branchB,
        to: branchA,
        verdict: "consistent",
        senderReported: true,
        receiverReported: true,
      },
    ],
    certificate: { verdict: "valid", channels: 2, digest: sha256(Buffer.from("checked")) },
    earlierAttempts: [
      { attempt: 1, reason: "ProcessLost", message: "bank/vault left", endedAt: "2026-01-01T00:00:00.5Z" },
    ],
  });
  snapshots.documents.set(id, snapshot);
  return { snapshot, snapshots, parts };
}

/** A FileDescriptorSet with bank.v1.Bank/Transfer(TransferRequest{account, cents}) -> TransferRequest. */
export function bankDescriptorSet(): Uint8Array {
  const field = (name: string, number: number, type: number) =>
    nested(2, Buffer.concat([text(1, name), int(3, number), int(4, 1), int(5, type), text(10, name)]));
  const messageType = Buffer.concat([text(1, "TransferRequest"), field("account", 1, 9), field("cents", 2, 5)]);
  const method = Buffer.concat([
    text(1, "Transfer"),
    text(2, ".bank.v1.TransferRequest"),
    text(3, ".bank.v1.TransferRequest"),
  ]);
  const service = Buffer.concat([text(1, "Bank"), nested(2, method)]);
  const file = [
    text(1, "bank/v1/bank.proto"),
    text(2, "bank.v1"),
    nested(4, messageType),
    nested(6, service),
    text(12, "proto3"),
  ];
  return nested(1, Buffer.concat(file));
}

function nested(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function text(number: number, value: string): Buffer {
  return nested(number, Buffer.from(value));
}

function int(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}
