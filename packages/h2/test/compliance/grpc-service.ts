import * as grpc from "@grpc/grpc-js";

const bytes = (value: Buffer) => value;

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Service/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

export const methods = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  spread: method("Spread", false, true),
  echo: method("Echo", true, true),
};

/** What the serving application saw of a call. */
export interface Served {
  readonly method: string;
  readonly metadata: Record<string, string[]>;
  readonly hasDeadline: boolean;
  messages: number;
  cancelled: boolean;
}

export interface GrpcServer {
  readonly port: number;
  readonly served: Served[];
  stop(): void;
}

/** Metadata as plain values; the date differs from run to run. */
export function plain(metadata: grpc.Metadata | undefined): Record<string, string[]> {
  const values: Record<string, string[]> = {};
  for (const name of Object.keys(metadata?.getMap() ?? {}).sort()) {
    if (name === "date") values[name] = ["present"];
    else
      values[name] = (metadata?.get(name) ?? []).map((value) =>
        typeof value === "string" ? value : value.toString("hex"),
      );
  }
  return values;
}

type AnyCall = {
  metadata: grpc.Metadata;
  getDeadline(): grpc.Deadline;
  sendMetadata(metadata: grpc.Metadata): void;
} & {
  on(event: "cancelled", listener: () => void): unknown;
};

/** A service whose behaviour the request's metadata asks for. */
export async function startGrpcServer(): Promise<GrpcServer> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  const served: Served[] = [];
  const note = (name: string, call: AnyCall): Served => {
    const entry = {
      method: name,
      metadata: plain(call.metadata),
      hasDeadline: call.getDeadline() !== Number.POSITIVE_INFINITY,
      messages: 0,
      cancelled: false,
    };
    served.push(entry);
    call.on("cancelled", () => {
      entry.cancelled = true;
    });
    if (call.metadata.get("headers").length > 0) {
      const headers = new grpc.Metadata();
      headers.add("answer", "one");
      headers.add("answer", "two");
      headers.add("answer-bin", Buffer.from([0, 255, 1]));
      call.sendMetadata(headers);
    }
    return entry;
  };
  const trailers = () => {
    const metadata = new grpc.Metadata();
    metadata.add("trailer", "t1");
    metadata.add("trailer", "t2");
    metadata.add("trailer-bin", Buffer.from([9, 0, 9]));
    return metadata;
  };
  const failure = (metadata: grpc.Metadata): grpc.ServiceError | undefined => {
    const [code] = metadata.get("fail");
    if (code === undefined) return undefined;
    return Object.assign(new Error("failed"), {
      code: Number(code),
      details: "it failed: \u00e9 % \n",
      metadata: trailers(),
    });
  };
  server.addService(methods, {
    unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) {
      note("unary", call as unknown as AnyCall).messages += 1;
      if (call.metadata.get("hang").length > 0) return;
      const failed = failure(call.metadata);
      if (failed !== undefined) answer(failed);
      else answer(null, call.request, trailers());
    },
    collect(call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) {
      const entry = note("collect", call as unknown as AnyCall);
      let total = 0;
      call.on("data", (message: Buffer) => {
        entry.messages += 1;
        total += message.length;
        const failed = failure(call.metadata);
        if (failed !== undefined && entry.messages === 1) answer(failed);
      });
      call.on("end", () => {
        if (failure(call.metadata) === undefined) answer(null, Buffer.from(String(total)), trailers());
      });
    },
    async spread(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      const entry = note("spread", call as unknown as AnyCall);
      const count = Number(call.request.toString());
      for (let i = 0; i < count; i += 1) {
        entry.messages += 1;
        if (!call.write(Buffer.from(`message ${i}`))) await new Promise((resolve) => call.once("drain", resolve));
      }
      if (call.metadata.get("hang").length > 0) return;
      const failed = failure(call.metadata);
      if (failed !== undefined) call.emit("error", failed);
      else call.end(trailers());
    },
    echo(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      const entry = note("echo", call as unknown as AnyCall);
      call.on("data", (message: Buffer) => {
        entry.messages += 1;
        if (!call.write(message)) {
          call.pause();
          call.once("drain", () => call.resume());
        }
      });
      call.on("end", () => call.end(trailers()));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, served, stop: () => server.forceShutdown() };
}

/** `authority`: what the client believes to speak to. */
export function openGrpcClient(port: number, authority = `127.0.0.1:${port}`, compressed = false): grpc.Client {
  return new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    "grpc.default_authority": authority,
    "grpc.max_receive_message_length": -1,
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...(compressed ? { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip } : {}),
  });
}
