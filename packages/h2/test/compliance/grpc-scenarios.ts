import * as grpc from "@grpc/grpc-js";
import { until } from "./adapters.ts";
import { type GrpcServer, methods, plain, type Served } from "./grpc-service.ts";

/** What both applications saw of one call. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly headers: Record<string, string[]> | undefined;
  readonly trailers: Record<string, string[]>;
  readonly messages: readonly string[];
  readonly served: readonly Served[];
}

export interface Scenario {
  readonly name: string;
  /** The caller compresses its messages. */
  readonly compressed?: boolean;
  run(client: grpc.Client, server: GrpcServer): Promise<unknown>;
}

interface CallOptions {
  readonly metadata?: readonly (readonly [string, string | Buffer])[];
  readonly deadlineMs?: number;
  readonly path?: string;
  /** What the caller does when it has got this many messages. */
  readonly cancelAfter?: number;
}

type Method = (typeof methods)["echo"];

/** Makes one call with these messages and waits until both ends have done with it. */
function makeCall(
  client: grpc.Client,
  server: GrpcServer,
  method: Method,
  messages: readonly Buffer[],
  options: CallOptions = {},
): Promise<Outcome> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of options.metadata ?? []) metadata.add(name, value);
  const callOptions = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
  const path = options.path ?? method.path;
  const call = client.makeBidiStreamRequest(
    path,
    method.requestSerialize,
    method.responseDeserialize,
    metadata,
    callOptions,
  );
  let headers: Record<string, string[]> | undefined;
  const received: string[] = [];
  call.on("metadata", (got: grpc.Metadata) => {
    headers = plain(got);
  });
  call.on("data", (message: Buffer) => {
    received.push(message.length > 100 ? `${message.length} bytes` : message.toString());
    if (received.length === options.cancelAfter) call.cancel();
  });
  // 'status' says the same and more.
  call.on("error", () => {});
  const endsItself = options.cancelAfter === undefined;
  void send(call, messages, endsItself);
  return new Promise((resolve, reject) => {
    call.on("status", (status: grpc.StatusObject) => {
      const outcome = {
        code: status.code,
        details: status.details,
        headers,
        trailers: plain(status.metadata),
        messages: received,
        served: server.served,
      };
      // Cancellation and deadline take their time to the other side.
      const aborted = status.code === grpc.status.CANCELLED || status.code === grpc.status.DEADLINE_EXCEEDED;
      const settled = aborted
        ? until("the server was told", () => server.served.every((each) => each.cancelled))
        : undefined;
      Promise.resolve(settled).then(() => resolve(outcome), reject);
    });
  });
}

async function send(
  call: grpc.ClientDuplexStream<Buffer, Buffer>,
  messages: readonly Buffer[],
  end: boolean,
): Promise<void> {
  let goOn = () => {};
  call.on("drain", () => goOn());
  call.on("status", () => goOn());
  for (const message of messages) {
    if (!call.write(message) && call.writable) {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
  }
  if (end) call.end();
}

const few = ["a", "bb", ""].map((text) => Buffer.from(text));
const tenThousand = Array.from({ length: 10_000 }, (_, i) => Buffer.from(`message ${i}`));
const rich: CallOptions["metadata"] = [
  ["double", "first"],
  ["double", "second"],
  ["raw-bin", Buffer.from([0, 1, 254, 255])],
  ["raw-bin", Buffer.alloc(0)],
  ["headers", "please"],
];

export const scenarios: readonly Scenario[] = [
  {
    name: "unary with metadata, binary metadata and trailers",
    run: (client, server) => makeCall(client, server, methods.unary, [Buffer.from("hello")], { metadata: rich }),
  },
  {
    name: "unary with an empty and with a large message",
    run: async (client, server) => [
      await makeCall(client, server, methods.unary, [Buffer.alloc(0)]),
      await makeCall(client, server, methods.unary, [Buffer.alloc(5_000_000, "x")]),
    ],
  },
  {
    name: "error as a trailers-only answer",
    run: (client, server) => makeCall(client, server, methods.unary, [Buffer.from("x")], { metadata: [["fail", "9"]] }),
  },
  {
    name: "error after headers",
    run: (client, server) =>
      makeCall(client, server, methods.unary, [Buffer.from("x")], {
        metadata: [
          ["fail", "9"],
          ["headers", "please"],
        ],
      }),
  },
  {
    name: "error after messages",
    run: (client, server) =>
      makeCall(client, server, methods.spread, [Buffer.from("5")], { metadata: [["fail", "10"]] }),
  },
  {
    name: "a method that is not there",
    run: (client, server) =>
      makeCall(client, server, methods.unary, few.slice(0, 1), { path: "/test.Service/Missing" }),
  },
  {
    name: "client streaming",
    run: (client, server) => makeCall(client, server, methods.collect, few, { metadata: rich }),
  },
  {
    name: "client streaming that the server ends early",
    run: async (client, server) => {
      const { served, ...seen } = await makeCall(client, server, methods.collect, tenThousand, {
        metadata: [["fail", "8"]],
      });
      // How much had arrived when the server answered is chance.
      return { ...seen, methods: served.map((each) => each.method) };
    },
  },
  {
    name: "server streaming of 10,000 messages",
    run: (client, server) => makeCall(client, server, methods.spread, [Buffer.from("10000")]),
  },
  {
    name: "streaming both ways of 10,000 messages",
    run: (client, server) => makeCall(client, server, methods.echo, tenThousand, { metadata: rich }),
  },
  {
    name: "streaming both ways of 16 MiB",
    run: (client, server) =>
      makeCall(
        client,
        server,
        methods.echo,
        Array.from({ length: 256 }, () => Buffer.alloc(64 * 1024)),
      ),
  },
  {
    name: "compressed messages",
    compressed: true,
    run: (client, server) => makeCall(client, server, methods.unary, [Buffer.alloc(50_000, "z")]),
  },
  {
    name: "a deadline that passes",
    run: async (client, server) => {
      const { details, ...seen } = await makeCall(client, server, methods.unary, [Buffer.from("x")], {
        deadlineMs: 150,
        metadata: [["hang", "please"]],
      });
      // The rest of the text is measured times and addresses.
      return { ...seen, details: details.split(" ", 2).join(" ") };
    },
  },
  {
    name: "a deadline that does not pass",
    run: (client, server) => makeCall(client, server, methods.unary, [Buffer.from("x")], { deadlineMs: 20_000 }),
  },
  {
    name: "cancellation in mid-stream",
    run: (client, server) => makeCall(client, server, methods.echo, few, { cancelAfter: 2 }),
  },
  {
    name: "100 calls at once",
    run: async (client, server) => {
      const calls = Array.from({ length: 100 }, (_, i) =>
        makeCall(client, server, methods.unary, [Buffer.from(`call ${i}`)]),
      );
      return (await Promise.all(calls)).map(({ served, ...seen }) => seen);
    },
  },
];
