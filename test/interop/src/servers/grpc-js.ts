import { type EventEmitter, once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import type { Pair } from "../script.ts";
import type { Ending, Exchange, Method } from "../service.ts";
import { Inbox } from "./inbox.ts";

const asItIs = (bytes: Buffer) => bytes;

type Incoming = { readonly bytes: Uint8Array; readonly compressed: undefined };

/** Serves the methods with @grpc/grpc-js, each as the kind of method that it is. Resolves with the port. */
export async function serveGrpcJs(
  methods: ReadonlyMap<string, Method>,
  port: number,
  options: grpc.ServerOptions = {},
): Promise<{ readonly server: grpc.Server; readonly port: number }> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1, ...options });
  for (const [path, { kind, serve }] of methods) {
    const type = { unary: "unary", clientStream: "clientStream", serverStream: "serverStream", bidi: "bidi" }[kind];
    server.register(path, handlerOf(kind, serve), asItIs, asItIs, type);
  }
  const bound = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, given) => (error ? reject(error) : resolve(given)));
  });
  return { server, port: bound };
}

function handlerOf(kind: Method["kind"], serve: Method["serve"]) {
  switch (kind) {
    case "unary":
    case "clientStream":
      return (
        call: grpc.ServerUnaryCall<Buffer, Buffer> | grpc.ServerReadableStream<Buffer, Buffer>,
        answer: grpc.sendUnaryData<Buffer>,
      ) => {
        let reply: Buffer | undefined;
        const exchange = exchangeOf(call, incoming(call), async (bytes) => {
          reply = bytes;
        });
        void finish(serve(exchange), ({ code, details, trailers }) => {
          if (code !== 0) answer({ code, details, metadata: metadataOf(trailers) });
          else answer(null, reply, metadataOf(trailers));
        });
      };
    default:
      return (call: grpc.ServerWritableStream<Buffer, Buffer> | grpc.ServerDuplexStream<Buffer, Buffer>) => {
        const exchange = exchangeOf(call, incoming(call), async (bytes) => {
          if (!call.write(bytes) && !call.cancelled) await Promise.race([once(call, "drain"), once(call, "cancelled")]);
        });
        void finish(serve(exchange), ({ code, details, trailers }) => {
          if (code === 0) call.end(metadataOf(trailers));
          else call.emit("error", { code, details, metadata: metadataOf(trailers) });
        });
      };
  }
}

type AnyCall =
  | grpc.ServerUnaryCall<Buffer, Buffer>
  | grpc.ServerReadableStream<Buffer, Buffer>
  | grpc.ServerWritableStream<Buffer, Buffer>
  | grpc.ServerDuplexStream<Buffer, Buffer>;

function incoming(call: AnyCall): Inbox<Incoming> {
  const inbox = new Inbox<Incoming>();
  // Every kind of call is an emitter; the types of the four have no common way to say so.
  const emitter: EventEmitter = call;
  emitter.on("cancelled", () => inbox.end());
  if ("request" in call) {
    inbox.push({ bytes: call.request, compressed: undefined });
    inbox.end();
    return inbox;
  }
  emitter.on("data", (bytes: Buffer) => inbox.push({ bytes, compressed: undefined }));
  emitter.on("end", () => inbox.end());
  // A call that breaks off is cancelled, too.
  emitter.on("error", () => inbox.end());
  return inbox;
}

function exchangeOf(call: AnyCall, inbox: Inbox<Incoming>, send: (bytes: Buffer) => Promise<void>): Exchange {
  return {
    metadata: (name) =>
      call.metadata.get(name).map((value) => (typeof value === "string" ? value : value.toString("base64"))),
    next: () => inbox.next(),
    headers: (pairs) => call.sendMetadata(metadataOf(pairs)),
    send: (bytes) => send(Buffer.from(bytes)),
  };
}

async function finish(ending: Promise<Ending>, end: (ending: Ending) => void): Promise<void> {
  try {
    end(await ending);
  } catch (error) {
    end({ code: grpc.status.INTERNAL, details: String(error), trailers: [] });
  }
}

function metadataOf(pairs: readonly Pair[]): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of pairs) {
    metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return metadata;
}
