import { type Http2Limits, type Http2Server } from "../port.ts";
/** HTTP/2 by the lean layer. */
export declare function createLeanServer(limits?: Partial<Http2Limits>): Http2Server;
