import { type ClientHttp2Session, connect } from "node:http2";
import type { Socket } from "node:net";

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly resetCode: number;
}

/** A connection of node:http2 on a socket that leads to `authority`. */
export function session(socket: Socket, authority: string): ClientHttp2Session {
  const opened = connect(`http://${authority}`, { createConnection: () => socket });
  // What goes wrong shows on each stream.
  opened.on("error", () => undefined);
  return opened;
}

/** Sends a request with exactly these headers; resolves when the stream is closed. */
export function exchange(by: ClientHttp2Session, headers: readonly string[], body: Buffer): Promise<RawAnswer> {
  const stream = by.request([...headers]);
  const chunks: Buffer[] = [];
  let answer: readonly string[] = [];
  let trailers: readonly string[] = [];
  stream.on("response", (_headers, _flags, raw) => {
    answer = raw;
  });
  stream.on("trailers", (_headers, _flags, raw) => {
    trailers = raw;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  // 'close' follows, with the code.
  stream.on("error", () => undefined);
  stream.end(body);
  return new Promise((resolve) => {
    stream.on("close", () =>
      resolve({ headers: answer, body: Buffer.concat(chunks), trailers, resetCode: stream.rstCode ?? 0 }),
    );
  });
}
