import { type Http2Client, type Http2ClientOptions } from "../port.ts";
/** HTTP/2 with prior knowledge by node:http2. */
export declare function createNodeHttp2Client(options: Http2ClientOptions): Http2Client;
