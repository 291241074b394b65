import type { DecodedBlock } from "../hpack/decoder.ts";
import type { HeaderList } from "../port.ts";

const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const badValuePattern = /[\0\r\n]|^[ \t]|[ \t]$/;

const connectionHeaders: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Names found to be right, so that most need no pattern. */
const knownNamesMax = 1024;
let knownNames = new Set<string>();

/** Why a block must not be what it should be; `null`: it may. Judged once for a block that comes again. */
export function blockFault(block: DecodedBlock, as: "request" | "answer" | "trailers"): string | null {
  switch (as) {
    case "request":
      if (block.requestFault === undefined) block.requestFault = requestFault(block.headers);
      return block.requestFault;
    case "answer":
      if (block.answerFault === undefined) block.answerFault = answerFault(block.headers);
      return block.answerFault;
    case "trailers":
      if (block.trailersFault === undefined) block.trailersFault = trailersFault(block.headers);
      return block.trailersFault;
  }
}

/** Why a list must not be a request (RFC 9113, section 8.3.1); `null`: it may. */
function requestFault(headers: HeaderList): string | null {
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let at = 0;
  for (; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (name.charCodeAt(0) !== colon) break;
    const value = headers[at + 1] as string;
    if (badValuePattern.test(value)) return `${name} has a value that is not allowed`;
    if (name === ":method" && method === undefined) method = value;
    else if (name === ":scheme" && scheme === undefined) scheme = value;
    else if (name === ":path" && path === undefined) path = value;
    else if (name === ":authority" && authority === undefined) authority = value;
    else return `${name} is twice in a request, or does not belong there`;
  }
  if (method === undefined || method === "") return "a request has no :method";
  if (method === "CONNECT") {
    if (scheme !== undefined || path !== undefined || authority === undefined)
      return "CONNECT has :scheme, :path or no :authority";
  } else if (scheme === undefined || path === undefined || path === "") return "a request has no :scheme or no :path";
  return fieldsFault(headers, at, true);
}

/** Why a list must not be an answer (RFC 9113, section 8.3.2). */
function answerFault(headers: HeaderList): string | null {
  if (headers[0] !== ":status") return "an answer does not begin with :status";
  if (!/^[1-9][0-9][0-9]$/.test(headers[1] as string)) return ":status is not a number of three digits";
  // Nothing switches protocols in HTTP/2 (RFC 9113, section 8.6).
  if (headers[1] === "101") return "an answer switches protocols";
  return fieldsFault(headers, 2, false);
}

/** Why a list must not be trailers. */
function trailersFault(headers: HeaderList): string | null {
  return fieldsFault(headers, 0, false);
}

/** The same list where it may be sent on as it is, else one without what HTTP/2 forbids to forward. */
export function sendableHeaders(headers: HeaderList): HeaderList {
  for (let i = 0; i < headers.length; i += 2) {
    if (isSendable(headers[i] as string, headers[i + 1] as string)) continue;
    const sendable: string[] = [];
    for (let k = 0; k + 1 < headers.length; k += 2) {
      const name = headers[k] as string;
      const value = headers[k + 1] as string;
      if (isSendable(name, value)) sendable.push(name, value);
    }
    return sendable;
  }
  return headers;
}

/** `content-length`, or -1 without one; `wrong`: it is no number, or there are two of them. */
export function declaredLength(block: DecodedBlock): number | "wrong" {
  block.declaredBytes ??= contentLength(block.headers);
  return block.declaredBytes;
}

function contentLength(headers: HeaderList): number | "wrong" {
  let declared = -1;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== "content-length") continue;
    const text = headers[i + 1] as string;
    if (!/^[0-9]{1,15}$/.test(text) || (declared >= 0 && declared !== Number(text))) return "wrong";
    declared = Number(text);
  }
  return declared;
}

/** Whether a request asks for no more than headers. */
export function isHead(request: HeaderList): boolean {
  for (let i = 0; i < request.length && request[i]?.charCodeAt(0) === colon; i += 2) {
    if (request[i] === ":method") return request[i + 1] === "HEAD";
  }
  return false;
}

/** Whether an answer says that another follows. */
export function isInformational(headers: HeaderList): boolean {
  return headers[0] === ":status" && headers[1]?.charCodeAt(0) === 0x31;
}

const colon = 0x3a;

function isSendable(name: string, value: string): boolean {
  return !connectionHeaders.has(name) && (name !== "te" || value === "trailers");
}

function fieldsFault(headers: HeaderList, from: number, isRequest: boolean): string | null {
  for (let at = from; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!isName(name))
      return `${JSON.stringify(name.slice(0, 64))} is no name of a header, or stands in the wrong place`;
    if (badValuePattern.test(value)) return `${name} has a value that is not allowed`;
    if (connectionHeaders.has(name) || (name === "te" && (!isRequest || value !== "trailers"))) {
      return `${name} is not allowed in HTTP/2`;
    }
  }
  return null;
}

function isName(name: string): boolean {
  if (knownNames.has(name)) return true;
  if (!namePattern.test(name)) return false;
  if (knownNames.size >= knownNamesMax) knownNames = new Set();
  if (name.length <= 64) knownNames.add(name);
  return true;
}
