import { fileURLToPath } from "node:url";
import { abortError } from "./abort.ts";
import { defaultContentType } from "./content-type.ts";
import { createFileSource } from "./file-source.ts";
import { createHttpSource } from "./http-source.ts";

export interface StateSink {
  /** Called once, before the first byte. 1 to 256 printable ASCII characters. */
  contentType(value: string): void;
  /** Never called again before it has resolved; the chunk is the source's again then. */
  write(chunk: Uint8Array): Promise<void>;
}

/** Where the state of an opaque application comes from. */
export interface StateSource {
  readonly name: "http" | "file" | "none";
  /**
   * One reading of the whole state; resolves when all of it went to the sink. Rejects with `StateUnreadable` when it did
   * not come in whole; with a `CaptureError` of the sink's own; and, as soon as the signal is aborted, with the signal's
   * reason where that is a `CaptureError`, else with `CaptureTimedOut` or `CaptureAborted`. No new call reaches the sink
   * after that.
   */
  read(sink: StateSink, signal: AbortSignal): Promise<void>;
}

export type ParsedCaptureSource =
  | { readonly outcome: "ok"; readonly source: "participant" | StateSource }
  | { readonly outcome: "invalid"; readonly message: string };

/** Longest part of a wrong setting that its message repeats, in characters. */
const quotedCharsMax = 200;

const forms = "participant, http://HOST:PORT/PATH, file:///PATH or none";

const noneSource: StateSource = {
  name: "none",
  async read(sink, signal) {
    if (signal.aborted) throw abortError(signal, "taking an empty state");
    sink.contentType(defaultContentType);
  },
};

/** Reads the setting CUTLINE_CAPTURE: `participant`, `http://HOST:PORT/PATH`, `file:///PATH` or `none`. */
export function parseCaptureSource(text: string): ParsedCaptureSource {
  const trimmed = text.trim();
  if (trimmed === "participant") return { outcome: "ok", source: "participant" };
  if (trimmed === "none") return { outcome: "ok", source: noneSource };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(trimmed)?.[1]?.toLowerCase();
  if (scheme === "http") return parseHttp(trimmed);
  if (scheme === "file") return parseFile(trimmed);
  if (scheme === "https") {
    return invalid("https: is not supported, because the application stands beside its agent; use http:// on loopback");
  }
  return invalid(`${quoted(trimmed)} is no source of state; use ${forms}`);
}

function parseHttp(text: string): ParsedCaptureSource {
  // The parser of URLs would take the first word of the path for the host.
  const url = /^http:\/\/[^/\\]/i.test(text) ? URL.parse(text) : null;
  if (url === null) return invalid(`${quoted(text)} is no address; use http://HOST:PORT/PATH`);
  if (url.username !== "" || url.password !== "") {
    return invalid("an http:// source takes no user and no password; serve the state on loopback instead");
  }
  if (url.hash !== "") return invalid(`${quoted(text)} has a fragment, which no server sees; leave out # and the rest`);
  return { outcome: "ok", source: createHttpSource(url) };
}

function parseFile(text: string): ParsedCaptureSource {
  const url = /^file:\/\/\/[^/\\]/i.test(text) ? URL.parse(text) : null;
  if (url === null) return invalid(`${quoted(text)} is no path of a file; use file:///PATH with exactly three slashes`);
  if (url.search !== "" || url.hash !== "") {
    return invalid(`${quoted(text)} has a query or a fragment; write ? as %3F and # as %23 in the name of a file`);
  }
  if (url.pathname.endsWith("/")) return invalid(`${quoted(text)} names a folder; name one file in it`);
  try {
    const path = fileURLToPath(url);
    if (path.includes("\0")) return invalid(`${quoted(text)} has a zero byte, which no name of a file can have`);
    return { outcome: "ok", source: createFileSource(path) };
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof URIError)) throw error;
    return invalid(`${quoted(text)} is no path of a file: ${error.message}`);
  }
}

function invalid(message: string): ParsedCaptureSource {
  return { outcome: "invalid", message };
}

function quoted(text: string): string {
  return JSON.stringify(text.length <= quotedCharsMax ? text : `${text.slice(0, quotedCharsMax)}…`);
}
