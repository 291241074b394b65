import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";

/** Bodies are written in one piece here, which Node's 10 does not allow. */
const sessionMemoryMegabytesMax = 100;

/** A server of node:http2 itself, as the other end of an adapter under test. */
export interface RawServer {
  readonly port: number;
  readonly sessions: ServerHttp2Session[];
  readonly sockets: Socket[];
  readonly streams: { stream: ServerHttp2Stream; headers: string[] }[];
  close(): Promise<void>;
}

export async function rawServer(
  onStream: (stream: ServerHttp2Stream, headers: string[]) => void = () => {},
  options: ServerOptions = {},
): Promise<RawServer> {
  const server = createServer({ maxSessionMemory: sessionMemoryMegabytesMax, ...options });
  const sessions: ServerHttp2Session[] = [];
  const sockets: Socket[] = [];
  const streams: RawServer["streams"] = [];
  server.on("connection", (socket: Socket) => sockets.push(socket));
  server.on("session", (session) => sessions.push(session));
  server.on("sessionError", () => {});
  server.on("stream", (stream, _headers, _flags, raw) => {
    stream.on("error", () => {});
    streams.push({ stream, headers: raw });
    onStream(stream, raw);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    sockets,
    streams,
    async close() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export function rawClient(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: sessionMemoryMegabytesMax });
  session.on("error", () => {});
  return session;
}

/** What a client of node:http2 saw of one call. */
export interface RawAnswer {
  headers: string[];
  headersEnd: boolean;
  body: Buffer;
  trailers: string[];
  code: number;
}

/** Resolves when the stream has closed. */
export function rawAnswer(stream: ClientHttp2Stream): Promise<RawAnswer> {
  const answer: RawAnswer = { headers: [], headersEnd: false, body: Buffer.alloc(0), trailers: [], code: -1 };
  const chunks: Buffer[] = [];
  stream.on("error", () => {});
  stream.on("response", (_headers, flags, raw) => {
    answer.headers = raw;
    answer.headersEnd = (flags & 1) !== 0;
  });
  stream.on("trailers", (_headers, _flags, raw) => {
    answer.trailers = raw;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    stream.on("close", () => {
      answer.body = Buffer.concat(chunks);
      answer.code = stream.rstCode;
      resolve(answer);
    });
  });
}
