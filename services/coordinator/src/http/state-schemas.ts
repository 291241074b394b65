import { type TSchema, Type } from "@sinclair/typebox";
import { stateFormat } from "../state/document.ts";

const Count = Type.Integer({ minimum: 0 });
const Base64 = Type.String({ contentEncoding: "base64" });
const Direction = Type.Union([Type.Literal("request"), Type.Literal("response")]);
const Decoded = {
  json: Type.Optional(Type.Unknown({ description: "The payload as proto3 JSON, when the schema is known." })),
  jsonError: Type.Optional(Type.String({ description: "Why a payload of a known method is not decoded." })),
};

const FrameHeader = Type.Object(
  {
    name: Type.String(),
    value: Type.Optional(Type.String()),
    valueBase64: Type.Optional(Base64),
  },
  { $id: "FrameHeader", description: "value when the bytes are UTF-8, else valueBase64." },
);

const RecordedFrame = Type.Object(
  {
    number: Type.Integer({ minimum: 0, description: "0 in an outbox: it had no number yet." }),
    callId: Count,
    kind: Type.Union(
      ["open", "message", "halfClose", "headers", "trailers", "reset"].map((kind) => Type.Literal(kind)),
    ),
    direction: Direction,
    method: Type.String(),
    headers: Type.Optional(Type.Array(Type.Ref("FrameHeader"))),
    messageIndex: Type.Optional(Count),
    pieceOffsetBytes: Type.Optional(Count),
    messageBytes: Type.Optional(Type.Integer({ minimum: 0, description: "Length prefix included." })),
    payloadBase64: Type.Optional(Base64),
    resetCode: Type.Optional(Count),
    source: Type.Union([Type.Literal("records"), Type.Literal("outbox")]),
  },
  { $id: "RecordedFrame" },
);

const RecordedMessage = Type.Object(
  {
    callId: Count,
    method: Type.String(),
    direction: Direction,
    messageIndex: Count,
    source: Type.Union([Type.Literal("records"), Type.Literal("outbox"), Type.Literal("both")]),
    complete: Type.Boolean(),
    compressed: Type.Boolean(),
    payloadBase64: Type.Optional(
      Type.String({ contentEncoding: "base64", description: "Without gRPC's length prefix." }),
    ),
    payloadOmitted: Type.Optional(
      Type.Literal("MessageTooLarge", { description: "Too large to be joined here; its frames carry every byte." }),
    ),
    ...Decoded,
  },
  { $id: "RecordedMessage" },
);

const WaitsFor = Type.Object(
  {
    outgoingId: Count,
    linkId: Type.String({ description: "Empty for a call to the environment." }),
    callId: Count,
    to: Type.String(),
    method: Type.String(),
  },
  { $id: "WaitsFor" },
);

const CallInProcess = Type.Object(
  {
    incomingId: Count,
    linkId: Type.String(),
    callId: Count,
    from: Type.String(),
    method: Type.String(),
    messagesReceived: Count,
    messagesSent: Count,
    waitsFor: Type.Array(Type.Ref("WaitsFor")),
    requestTruncated: Type.Boolean(),
    request: Type.Optional(
      Type.Object({ complete: Type.Boolean(), compressed: Type.Boolean(), payloadBase64: Base64, ...Decoded }),
    ),
  },
  { $id: "CallInProcess" },
);

const ProcessState = Type.Object(
  {
    id: Type.String(),
    incarnation: Type.String(),
    stored: Type.Boolean(),
    contentType: Type.String(),
    encoding: Type.Union([Type.Literal("utf8"), Type.Literal("base64")]),
    data: Type.String({ description: "In `encoding`; its bytes have the hash stateSha256 of the manifest." }),
    callsInProcess: Type.Array(Type.Ref("CallInProcess")),
  },
  { $id: "ProcessState" },
);

const channelState = {
  id: Type.String(),
  from: Type.String(),
  to: Type.String(),
  frames: Type.Array(Type.Ref("RecordedFrame")),
  messages: Type.Array(Type.Ref("RecordedMessage")),
};

const ChannelState = Type.Object(channelState, { $id: "ChannelState" });

const CertifiedChannelState = Type.Object(
  { ...channelState, certificate: Type.Ref("ChannelEntry") },
  { $id: "CertifiedChannelState" },
);

const GlobalState = Type.Object(
  {
    format: Type.Literal(stateFormat),
    snapshot: Type.Ref("Snapshot"),
    processes: Type.Array(Type.Ref("ProcessState")),
    channels: Type.Array(Type.Ref("ChannelState")),
  },
  { $id: "GlobalState" },
);

/** One line of the NDJSON form. */
const GlobalStateLine = Type.Object(
  {
    type: Type.Union(
      ["snapshot", "process", "chunk", "callInProcess", "channel", "frame", "message", "end"].map((type) =>
        Type.Literal(type),
      ),
    ),
  },
  {
    $id: "GlobalStateLine",
    description:
      "snapshot {format, snapshot}; for each process: process {id, ...}, its data as chunk {process, encoding, data} lines, " +
      "its callInProcess {process, ...} lines; for each channel: channel {id, from, to}, frame {channel, ...} and " +
      "message {channel, ...} lines; at last end {processes, channels}. Without an end line the state is torn.",
  },
);

export const stateSchemas: readonly TSchema[] = [
  FrameHeader,
  RecordedFrame,
  RecordedMessage,
  WaitsFor,
  CallInProcess,
  ProcessState,
  ChannelState,
  CertifiedChannelState,
  GlobalState,
  GlobalStateLine,
];
