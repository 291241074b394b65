import type { HeaderList } from "@cutline/h2";

/** gRPC status codes that the agent gives itself. */
export const GrpcStatus = { resourceExhausted: "8", unavailable: "14" } as const;

/** Trailers with a status of the agent's own. */
export function statusTrailers(status: string, message: string): HeaderList {
  return ["grpc-status", status, "grpc-message", percentEncode(message)];
}

/** gRPC over HTTP/2, "Percent-Encoded": printable ASCII but for the percent sign stays as it is. */
function percentEncode(message: string): string {
  return message.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent);
}

/** The same as the whole answer (gRPC over HTTP/2, "Trailers-Only"). */
export function statusAnswer(status: string, message: string): HeaderList {
  return [":status", "200", "content-type", "application/grpc", ...statusTrailers(status, message)];
}

/** The payload of a reset frame: the HTTP/2 error code. */
export function encodeReset(code: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(code >>> 0, 0);
  return payload;
}

/** `undefined`: the payload is too short. */
export function decodeReset(payload: Buffer): number | undefined {
  return payload.length >= 4 ? payload.readUInt32BE(0) : undefined;
}
