import type { ServerSessionOptions } from "node:http2";
import type { HeaderList, Http2Limits } from "../port.ts";
/** Settings and bounds that servers and clients share. */
export declare function sessionOptions(limits: Http2Limits): ServerSessionOptions;
/** A list of its own, without what HTTP/2 forbids to forward. */
export declare function sendableHeaders(headers: HeaderList): string[];
/** Trailers as node:http2 takes them: an object, with duplicates as arrays. */
export declare function trailersObject(headers: HeaderList): Record<string, string[]>;
/** node:http2 takes codes up to 2^31 - 1 only. */
export declare function sendableResetCode(code: number, fallback: number): number;
