import type { CallPosition } from "@cutline/proto/participant";
import { CallInProcess, type WaitsFor } from "@cutline/proto/snapshot";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { Calls } from "../dataplane/calls.ts";
import { delimited } from "./recorder.ts";

/** The handlers that stand in the process, as the application itself lists them. */
export function encodeOpenHandlers(open: readonly CallPosition[], calls: Calls): Uint8Array[] {
  return open.map((position) => {
    const call = calls.incoming(position.callId);
    const waitsFor = position.waitsFor.map((id) => describeAwaited(id, calls.outgoing(id)));
    return encode(position.callId, call, {
      method: position.method,
      messagesReceived: position.messagesReceived,
      messagesSent: position.messagesSent,
      waitsFor,
    });
  });
}

/** The handlers that may stand in an opaque process: calls handed over and not answered. */
export function encodeUnanswered(unanswered: readonly CallEnd[]): Uint8Array[] {
  return unanswered.map((call) =>
    encode(call.applicationId ?? 0, call, {
      method: call.method,
      messagesReceived: call.inbound.messagesHanded,
      messagesSent: call.outbound.read.messages,
      waitsFor: [],
    }),
  );
}

interface Standing {
  readonly method: string;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly waitsFor: WaitsFor[];
}

function encode(incomingId: number, call: CallEnd | undefined, standing: Standing): Uint8Array {
  const message = {
    incomingId,
    linkId: call?.link.id ?? "",
    callId: call?.callId ?? 0,
    from: call?.link.peer.processId ?? "",
    ...standing,
    request: call?.request.bytes() ?? Buffer.alloc(0),
    requestTruncated: call?.request.truncated ?? true,
  };
  return delimited(CallInProcess.encode(message).finish());
}

function describeAwaited(outgoingId: number, call: CallEnd | undefined): WaitsFor {
  return {
    outgoingId,
    linkId: call?.link.id ?? "",
    callId: call?.callId ?? 0,
    to: call?.link.peer.processId ?? "",
    method: call?.method ?? "",
  };
}
