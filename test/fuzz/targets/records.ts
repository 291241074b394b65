import { createHash } from "node:crypto";
import { CallInProcess, FrameKind, RecordedFrame, Snapshot } from "@cutline/proto/snapshot";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { documentLines, documentText } from "../../../services/coordinator/src/state/document.ts";
import { StateError } from "../../../services/coordinator/src/state/errors.ts";
import { stateLimitsDefault } from "../../../services/coordinator/src/state/limits.ts";
import { createPayloadDecoder } from "../../../services/coordinator/src/state/payloads.ts";
import { createStateReader } from "../../../services/coordinator/src/state/reader.ts";
import type { PartInfo, PartKey } from "../../../services/coordinator/src/store/port.ts";
import {
  bankDescriptorSet,
  transferBytes,
  transferMethod,
  withPrefix,
} from "../../../services/coordinator/test/http/support/bank.ts";
import { choicesOf, delimited, piecesOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import { inputBytesMax, type Target } from "../engine/target.ts";

const process = "bank/a";
const channel = "link1:0";
const limits = { ...stateLimitsDefault, recordBytesMax: 4_096, messageBytesMax: 2_048, assemblyBytesMax: 16 * 1024 };
/** What a text may be longer than the bytes it shows: names of fields, base64, escapes, and all of it twice. */
const growthMax = 400;

type Frame = Parameters<typeof RecordedFrame.fromPartial>[0];

const frameOf = (frame: Frame) => RecordedFrame.encode(RecordedFrame.fromPartial(frame)).finish();

const whole = withPrefix(transferBytes);
const base = { kind: FrameKind.MESSAGE, method: transferMethod, forward: true, messageBytes: whole.length };
const frames: readonly Frame[] = [
  {
    number: 1,
    callId: 1,
    kind: FrameKind.OPEN,
    method: transferMethod,
    headers: [{ name: "x", value: Buffer.from([255]) }],
  },
  { ...base, number: 2, callId: 1, payload: whole },
  { ...base, number: 3, callId: 2, payload: whole.subarray(0, 6) },
  { ...base, number: 4, callId: 2, payload: whole.subarray(6), pieceOffsetBytes: 6 },
  { ...base, number: 5, callId: 3, payload: withPrefix(transferBytes, 1) },
  { ...base, number: 6, callId: 4, payload: whole.subarray(6), pieceOffsetBytes: 6 },
  { number: 7, callId: 1, kind: FrameKind.RESET, resetCode: 8 },
];

const call = CallInProcess.encode(
  CallInProcess.fromPartial({
    incomingId: 7,
    linkId: "link1",
    callId: 3,
    from: "bank/b",
    method: transferMethod,
    waitsFor: [{ outgoingId: 9, linkId: "link2", callId: 1, to: "bank/c", method: transferMethod }],
    request: whole,
  }),
).finish();

function anyRecords(random: Random): Buffer {
  const made = Array.from({ length: 1 + random.below(8) }, () => {
    const bytes = randomBytes(random, random.below(20));
    const numbers = {
      messageBytes: random.pick([0, 1, 6, 25, 2 ** 31, 2 ** 32 - 1]) ?? 0,
      pieceOffsetBytes: random.below(8),
    };
    const chosen = random.happens(0.3) ? (random.pick(frames) ?? {}) : { ...base, ...numbers, payload: bytes };
    return frameOf({ ...chosen, callId: random.below(4), messageIndex: random.below(2) });
  });
  return delimited(random.happens(0.2) ? [call, call] : made);
}

function snapshotWith(info: PartInfo): Snapshot {
  const { sizeBytes, sha256 } = info;
  return Snapshot.fromPartial({
    id: "s",
    phase: "Completed",
    attempt: 1,
    processes: [
      {
        id: process,
        stored: true,
        contentType: "application/json",
        stateBytes: sizeBytes,
        stateSha256: sha256,
        callsInProcess: 1,
        callsBytes: sizeBytes,
        callsSha256: sha256,
      },
    ],
    channels: [
      {
        id: channel,
        from: "bank/b",
        to: process,
        recordedCount: 1,
        recordsBytes: sizeBytes,
        recordsSha256: sha256,
        outboxCount: 1,
        outboxBytes: sizeBytes,
        outboxSha256: sha256,
      },
    ],
  });
}

async function lengthOf(text: AsyncIterable<string>): Promise<{ text: string; outcome: "whole" | "refused" }> {
  let all = "";
  try {
    for await (const piece of text) all += piece;
    return { text: all, outcome: "whole" };
  } catch (error) {
    if (error instanceof StateError) return { text: all, outcome: "refused" };
    throw error;
  }
}

/**
 * Stored parts whose bytes are anything, with the right hash: `readDelimited`, the records, the assembler and the
 * decoder of payloads. The state is shown as JSON that can be parsed, or refused with a `StateError`.
 */
export const target: Target = {
  name: "records",
  // An execution reads and renders a whole state.
  testExecutions: 10_000,
  samples: () => [
    delimited(frames.map(frameOf)),
    delimited([call]),
    delimited([call, ...frames.map(frameOf)]),
    delimited(Array.from({ length: 40 }, (_, callId) => frameOf({ ...base, callId, payload: whole.subarray(0, 6) }))),
  ],
  generate: anyRecords,
  open: () => {
    const decode = createPayloadDecoder(bankDescriptorSet());
    return {
      async run(input) {
        const choices = choicesOf(input);
        const pieces = piecesOf(input, choices);
        const sha256 = createHash("sha256").update(input).digest("hex");
        const info: PartInfo = { sizeBytes: input.length, sha256, contentType: "application/x-protobuf" };
        // Of the four parts only one is the input, so that every one is met whole.
        const kind = choices.pick(["local", "calls", "channel", "outbox"]);
        const store = {
          statPart: async () => info,
          async *readPart(key: PartKey) {
            if (key.kind === kind) yield* pieces;
          },
        };
        const snapshot = snapshotWith(info);
        for (const part of snapshot.processes) {
          if (kind !== "local") Object.assign(part, { stateBytes: 0, stateSha256: emptySha256 });
          if (kind !== "calls") Object.assign(part, { callsInProcess: 0 });
        }
        for (const part of snapshot.channels) {
          if (kind !== "channel") Object.assign(part, { recordedCount: 0 });
          if (kind !== "outbox") Object.assign(part, { outboxCount: 0 });
        }
        const reader = createStateReader({ store, snapshot, limits, decode });
        const document = await lengthOf(choices.happens(0.7) ? documentText(reader) : documentLines(reader));
        if (document.text.length > growthMax * (input.length + 64) + inputBytesMax) {
          throw new Error(`${input.length} bytes became a text of ${document.text.length}`);
        }
        if (document.outcome === "whole") for (const line of jsonOf(document.text)) JSON.parse(line);
      },
      close() {},
    };
  },
};

const emptySha256 = createHash("sha256").digest("hex");

/** One document, or one a line. */
function jsonOf(text: string): string[] {
  return text.endsWith("\n") ? text.trimEnd().split("\n") : [text];
}
