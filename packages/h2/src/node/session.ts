import type { ServerSessionOptions } from "node:http2";
import type { HeaderList, Http2Limits } from "../port.ts";

/** What one session may hold in nghttp2 and in queues before it refuses more, in megabytes. Node's 10 is too low for 1,000 streams with full windows. */
const sessionMemoryMegabytesMax = 256;

/** PINGs without an answer on one connection: each running barrier has one. */
const outstandingPingsMax = 100;

/** RFC 9113, section 6.5.2: a header counts its own bytes and 32. */
const headerOverheadBytes = 32;

/** Settings and bounds that servers and clients share. */
export function sessionOptions(limits: Http2Limits): ServerSessionOptions {
  return {
    maxSessionMemory: sessionMemoryMegabytesMax,
    maxOutstandingPings: outstandingPingsMax,
    // What the peer may receive is the peer's to say; this bound is only never to be the first to be met.
    maxSendHeaderBlockLength: 2 * limits.headerListBytesMax,
    maxHeaderListPairs: Math.ceil(limits.headerListBytesMax / headerOverheadBytes),
    // Metadata may hold any name twice.
    strictSingleValueFields: false,
    settings: {
      initialWindowSize: limits.streamWindowBytes,
      maxHeaderListSize: limits.headerListBytesMax,
    },
  };
}

const connectionHeaders = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** A list of its own, without what HTTP/2 forbids to forward. */
export function sendableHeaders(headers: HeaderList): string[] {
  const sendable: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    if (connectionHeaders.has(name) || (name === "te" && value !== "trailers")) continue;
    sendable.push(name, value);
  }
  return sendable;
}

/** Trailers as node:http2 takes them: an object, with duplicates as arrays. */
export function trailersObject(headers: HeaderList): Record<string, string[]> {
  const trailers: Record<string, string[]> = Object.create(null);
  const sendable = sendableHeaders(headers);
  for (let i = 0; i < sendable.length; i += 2) {
    const name = sendable[i] ?? "";
    const values = trailers[name];
    if (values === undefined) trailers[name] = [sendable[i + 1] ?? ""];
    else values.push(sendable[i + 1] ?? "");
  }
  return trailers;
}

/** node:http2 takes codes up to 2^31 - 1 only. */
export function sendableResetCode(code: number, fallback: number): number {
  return Number.isInteger(code) && code >= 0 && code <= 0x7fff_ffff ? code : fallback;
}
