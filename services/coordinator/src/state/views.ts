import { isUtf8 } from "node:buffer";
import { type CallInProcess, FrameKind, type RecordedFrame } from "@cutline/proto/snapshot";
import { StateError } from "./errors.ts";
import { type JoinedMessage, splitPrefix } from "./messages.ts";
import type { Direction, PayloadDecoder } from "./payloads.ts";

/** What turns payloads into JSON, and up to which size. */
export interface Decoding {
  readonly decode: PayloadDecoder | undefined;
  readonly decodeBytesMax: number;
}

type DecodedView = { readonly json: unknown } | { readonly jsonError: string } | Record<never, never>;

const kindNames: Readonly<Partial<Record<FrameKind, string>>> = {
  [FrameKind.OPEN]: "open",
  [FrameKind.MESSAGE]: "message",
  [FrameKind.HALF_CLOSE]: "halfClose",
  [FrameKind.HEADERS]: "headers",
  [FrameKind.TRAILERS]: "trailers",
  [FrameKind.RESET]: "reset",
};

/** A recorded frame as the API shows it. Throws `StateCorrupt` for a kind that is never recorded. */
export function frameView(frame: RecordedFrame, source: "records" | "outbox"): object {
  const kind = kindNames[frame.kind];
  if (kind === undefined) {
    throw new StateError("StateCorrupt", `a stored frame has the kind ${frame.kind}, which is never recorded`);
  }
  return {
    number: frame.number,
    callId: frame.callId,
    kind,
    direction: directionOf(frame.forward),
    method: frame.method,
    ...(frame.headers.length > 0 && { headers: frame.headers.map(headerView) }),
    ...(kind === "message" && {
      messageIndex: frame.messageIndex,
      pieceOffsetBytes: frame.pieceOffsetBytes,
      messageBytes: frame.messageBytes,
      payloadBase64: frame.payload.toString("base64"),
    }),
    ...(kind === "reset" && { resetCode: frame.resetCode }),
    source,
  };
}

function headerView(header: { name: string; value: Buffer }): object {
  return isUtf8(header.value)
    ? { name: header.name, value: header.value.toString("utf8") }
    : { name: header.name, valueBase64: header.value.toString("base64") };
}

function directionOf(forward: boolean): Direction {
  return forward ? "request" : "response";
}

export function messageView(message: JoinedMessage, decoding: Decoding): object {
  const { payload, ...rest } = message;
  if (payload === undefined) {
    return { ...rest, payloadOmitted: "MessageTooLarge" };
  }
  return {
    ...rest,
    payloadBase64: payload.toString("base64"),
    ...(message.complete && !message.compressed && decoded(message.method, message.direction, payload, decoding)),
  };
}

export function callView(call: CallInProcess, decoding: Decoding): object {
  const { request, requestTruncated, ...rest } = call;
  return request.length === 0
    ? { ...rest, requestTruncated }
    : { ...rest, requestTruncated, request: requestView(call, decoding) };
}

function requestView(call: CallInProcess, decoding: Decoding): object {
  const split = splitPrefix(call.request);
  const complete = split.complete && !call.requestTruncated;
  return {
    complete,
    compressed: split.compressed,
    payloadBase64: split.payload.toString("base64"),
    ...(complete && !split.compressed && decoded(call.method, "request", split.payload, decoding)),
  };
}

function decoded(method: string, direction: Direction, payload: Buffer, decoding: Decoding): DecodedView {
  if (decoding.decode === undefined) {
    return {};
  }
  if (payload.length > decoding.decodeBytesMax) {
    return { jsonError: `the payload has ${payload.length} bytes, decodeBytesMax is ${decoding.decodeBytesMax}` };
  }
  return decoding.decode(method, direction, payload) ?? {};
}
