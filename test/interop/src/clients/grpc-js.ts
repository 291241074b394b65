import { createHash } from "node:crypto";
import * as grpc from "@grpc/grpc-js";
import type { CallScript, ClientScript, Pair, SeenCall, SeenMessage } from "../script.ts";
import { type Channel, type ClientCall, Counter } from "./channel.ts";

const asItIs = (bytes: Buffer) => bytes;
const gzip = 2;
/** Of gRPC's write flags. */
const noCompress = 2;

/** Channels of @grpc/grpc-js. `grpc_proxy` in the environment leads them to the agent. */
export async function openGrpcJsChannel(script: ClientScript): Promise<Channel> {
  // A subchannel pool of its own: a channel here is a connection.
  const options = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
    ...script.channelOptions,
  };
  const credentials = grpc.credentials.createInsecure();
  const plain = new grpc.Client(script.target, credentials, options);
  let compressing: grpc.Client | undefined;
  return {
    open(call) {
      if (call.compression === undefined) return new GrpcJsCall(plain, call);
      compressing ??= new grpc.Client(script.target, credentials, {
        ...options,
        "grpc.default_compression_algorithm": gzip,
      });
      return new GrpcJsCall(compressing, call);
    },
    close() {
      plain.close();
      compressing?.close();
    },
  };
}

class GrpcJsCall implements ClientCall {
  readonly #client: grpc.Client;
  readonly #script: CallScript;
  readonly #arrived = new Counter();
  readonly #messages: SeenMessage[] = [];
  readonly #ended = Promise.withResolvers<SeenCall>();
  #headers: readonly Pair[] | null = null;
  #call: grpc.ClientUnaryCall | grpc.ClientReadableStream<Buffer> | undefined;
  #writable: grpc.ClientWritableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer> | undefined;

  constructor(client: grpc.Client, script: CallScript) {
    this.#client = client;
    this.#script = script;
    const { path, kind } = script;
    const [metadata, options] = this.#beginning();
    if (kind === "clientStream") {
      this.#writable = client.makeClientStreamRequest(path, asItIs, asItIs, metadata, options, this.#answered);
      this.#watch(this.#writable);
    } else if (kind === "bidi") {
      const call = client.makeBidiStreamRequest(path, asItIs, asItIs, metadata, options);
      this.#writable = call;
      call.on("data", this.#data).on("error", ignore);
      this.#watch(call);
    }
  }

  send(bytes: Uint8Array, compression: "gzip" | "none"): void {
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (this.#writable !== undefined) {
      const flags = this.#script.compression === "gzip" && compression === "none" ? noCompress : 0;
      this.#writable.write(message, flags);
      return;
    }
    const { path, kind } = this.#script;
    const [metadata, options] = this.#beginning();
    if (kind === "unary") {
      this.#call = this.#client.makeUnaryRequest(path, asItIs, asItIs, message, metadata, options, this.#answered);
    } else {
      const call = this.#client.makeServerStreamRequest(path, asItIs, asItIs, message, metadata, options);
      call.on("data", this.#data).on("error", ignore);
      this.#call = call;
    }
    this.#watch(this.#call);
  }

  receive(): Promise<void> {
    return this.#arrived.next();
  }

  halfClose(): void {
    this.#writable?.end();
  }

  cancel(): void {
    (this.#writable ?? this.#call)?.cancel();
  }

  end(): Promise<SeenCall> {
    return this.#ended.promise;
  }

  #beginning(): [grpc.Metadata, grpc.CallOptions] {
    const { metadata: pairs = [], timeoutMs } = this.#script;
    const metadata = new grpc.Metadata();
    for (const [name, value] of pairs) {
      metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
    }
    return [metadata, timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }];
  }

  readonly #data = (message: Buffer): void => {
    this.#messages.push({ bytes: message.length, sha256: createHash("sha256").update(message).digest("hex") });
    this.#arrived.count();
  };

  readonly #answered = (_error: grpc.ServiceError | null, message?: Buffer): void => {
    if (message !== undefined) this.#data(message);
  };

  #watch(call: grpc.ClientUnaryCall | grpc.ClientReadableStream<Buffer> | grpc.ClientWritableStream<Buffer>): void {
    call.on("metadata", (metadata: grpc.Metadata) => {
      this.#headers = pairsOf(metadata);
    });
    call.on("status", ({ code, details, metadata }: grpc.StatusObject) => {
      // The answer of a unary call is handed over right behind its status.
      setImmediate(() => {
        this.#arrived.close();
        const trailers = pairsOf(metadata);
        this.#ended.resolve({ headers: this.#headers, messages: this.#messages, code, details, trailers });
      });
    });
  }
}

function pairsOf(metadata: grpc.Metadata): Pair[] {
  return Object.entries(metadata.toJSON()).flatMap(([name, values]) =>
    values.map((value): Pair => [name, typeof value === "string" ? value : value.toString("base64")]),
  );
}

function ignore(): void {
  // 'status' says the same.
}
