import type { HeaderList } from "../port.ts";
/** Why a list must not be a request (RFC 9113, section 8.3.1); `null`: it may. */
export declare function requestFault(headers: HeaderList): string | null;
/** Why a list must not be an answer (RFC 9113, section 8.3.2). */
export declare function answerFault(headers: HeaderList): string | null;
/** Why a list must not be trailers. */
export declare function trailersFault(headers: HeaderList): string | null;
/** The same list where it may be sent on as it is, else one without what HTTP/2 forbids to forward. */
export declare function sendableHeaders(headers: HeaderList): HeaderList;
