import { type Http2Client, type Http2ClientOptions } from "../port.ts";
/** HTTP/2 with prior knowledge by the lean layer. */
export declare function createLeanClient(options: Http2ClientOptions): Http2Client;
