import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { Deframer, encodeStatusMessage, frame } from "../framing.ts";
import type { Pair } from "../script.ts";
import type { Ending, Exchange, Method } from "../service.ts";
import { Inbox } from "./inbox.ts";

const unimplemented = 12;
const internal = 13;
const windowBytes = 1024 * 1024;
/** For a thousand large calls at a time; node:http2 begins to refuse streams beyond it. */
const sessionMemoryMegabytesMax = 2_000;

/** Serves the methods with node:http2 and gRPC by hand. Resolves with the port. */
export async function serveHttp2(
  methods: ReadonlyMap<string, Method>,
  port: number,
): Promise<{ readonly server: Http2Server; readonly port: number }> {
  const server = createServer({
    settings: { initialWindowSize: windowBytes },
    maxSessionMemory: sessionMemoryMegabytesMax,
  });
  server.on("stream", (stream, headers) => {
    // 'close' follows, and nobody is left to tell.
    stream.on("error", () => undefined);
    const method = methods.get(String(headers[":path"]));
    if (method === undefined) {
      answerOnly(stream, { code: unimplemented, details: `no method ${headers[":path"]}`, trailers: [] });
      return;
    }
    void serveCall(stream, method, (name) => {
      const value = headers[name];
      return value === undefined ? [] : [value].flat();
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

async function serveCall(
  stream: ServerHttp2Stream,
  method: Method,
  metadata: (name: string) => readonly string[],
): Promise<void> {
  const inbox = new Inbox<{ readonly bytes: Uint8Array; readonly compressed: boolean }>();
  const deframer = new Deframer();
  stream.on("data", (chunk: Buffer) =>
    deframer.push(chunk, ({ bytes, flag }) => inbox.push({ bytes, compressed: flag === 1 })),
  );
  stream.on("end", () => inbox.end());
  stream.on("close", () => inbox.end());
  let extra: readonly Pair[] = [];
  let trailers: readonly Pair[] = [];
  const respond = () => {
    if (stream.headersSent || stream.destroyed) return;
    const raw = [...responseHeaders, ["grpc-encoding", "gzip"], ...extra].flat();
    stream.respond(raw, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(objectOf(trailers)));
  };
  const exchange: Exchange = {
    metadata,
    next: () => inbox.next(),
    headers(pairs) {
      extra = pairs;
    },
    async send(bytes, compression) {
      if (stream.destroyed) return;
      respond();
      if (!stream.write(frame(bytes, compression))) await Promise.race([once(stream, "drain"), once(stream, "close")]);
    },
  };
  const ending = await method
    .serve(exchange)
    .catch((error: unknown): Ending => ({ code: internal, details: String(error), trailers: [] }));
  if (stream.destroyed) return;
  if (!stream.headersSent && extra.length === 0 && ending.code !== 0) {
    answerOnly(stream, ending);
    return;
  }
  trailers = statusPairs(ending);
  respond();
  stream.end();
}

const responseHeaders: readonly Pair[] = [
  [":status", "200"],
  ["content-type", "application/grpc"],
  ["grpc-accept-encoding", "identity,gzip"],
];

/** gRPC over HTTP/2, "Trailers-Only". */
function answerOnly(stream: ServerHttp2Stream, ending: Ending): void {
  stream.respond([...responseHeaders, ...statusPairs(ending)].flat(), { endStream: true });
  // What the client still sends is read and dropped.
  stream.resume();
}

function statusPairs({ code, details, trailers }: Ending): Pair[] {
  return [
    ["grpc-status", String(code)],
    ...(details === "" ? [] : [["grpc-message", encodeStatusMessage(details)] as const]),
    ...trailers,
  ];
}

function objectOf(pairs: readonly Pair[]): Record<string, string[]> {
  const object: Record<string, string[]> = {};
  for (const [name, value] of pairs) {
    const values = object[name] ?? [];
    object[name] = values;
    values.push(value);
  }
  return object;
}
