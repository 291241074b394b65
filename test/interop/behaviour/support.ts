import process from "node:process";
import * as grpc from "@grpc/grpc-js";

// What it says of connections that fail is what these tests are about.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

export const asItIs = (bytes: Buffer) => bytes;

/** The methods that the tests of this folder serve and call; messages are bytes without a codec. */
export const path = {
  /** Answers with the request. */
  echo: "/behaviour.Test/Echo",
  /** Answers every message with itself until the half-close. */
  hold: "/behaviour.Test/Hold",
} as const;

export interface Answer {
  readonly code: number;
  readonly details: string;
  readonly message: Buffer | undefined;
}

const opened: { close(): void }[] = [];

/** Closes every channel and ends every server that was opened here, also those of a test that has failed. */
export function closeAll(): void {
  for (const one of opened.splice(0)) one.close();
}

/** From now on @grpc/grpc-js in this process goes through that agent, unless a channel says otherwise. */
export function proxyBy(outboundPort: number): void {
  process.env.grpc_proxy = `http://127.0.0.1:${outboundPort}`;
}

/** A channel with a connection of its own. */
export function client(target: string, options: grpc.ClientOptions = {}): grpc.Client {
  const channel = new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
    ...options,
  });
  opened.push(channel);
  return channel;
}

/** Never rejects: a failure is an answer. */
export function unary(
  by: grpc.Client,
  method: string,
  message: Buffer,
  options: grpc.CallOptions = {},
  metadata = new grpc.Metadata(),
): Promise<Answer> {
  return new Promise((resolve) => {
    by.makeUnaryRequest(method, asItIs, asItIs, message, metadata, options, (error, reply) =>
      resolve({ code: error?.code ?? 0, details: error?.details ?? "", message: reply }),
    );
  });
}

/** An open call of {@link path.hold}. */
export class Held {
  readonly #call: grpc.ClientDuplexStream<Buffer, Buffer>;
  /** How it has ended. */
  readonly status: Promise<grpc.StatusObject>;
  #answered = 0;
  #wake: (() => void) | undefined;

  constructor(by: grpc.Client, method: string = path.hold) {
    this.#call = by.makeBidiStreamRequest(method, asItIs, asItIs, new grpc.Metadata(), {});
    this.status = new Promise((resolve) => {
      this.#call.once("status", resolve);
    });
    this.#call.on("data", () => {
      this.#answered += 1;
      this.#wake?.();
    });
    // The status says the same.
    this.#call.on("error", () => undefined);
  }

  /** Resolves when the answer is there; rejects when the call ends instead. */
  async exchange(message: Buffer): Promise<void> {
    const wanted = this.#answered + 1;
    this.#call.write(message);
    const ended = this.status.then(({ code, details }) => {
      throw new Error(`the call has ended with ${code}: ${details}`);
    });
    while (this.#answered < wanted) {
      await Promise.race([
        ended,
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
      ]);
    }
    // After the race, the end of the call is no longer an error.
    ended.catch(() => undefined);
  }

  finish(): Promise<grpc.StatusObject> {
    this.#call.end();
    return this.status;
  }
}

type UnaryHandler = (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => void;

/** A server of @grpc/grpc-js in this process; `more` are further unary methods, by path. */
export async function serve(
  port: number,
  more: Readonly<Record<string, UnaryHandler>> = {},
  options: grpc.ServerOptions = {},
): Promise<grpc.Server> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1, ...options });
  const echo: UnaryHandler = (call, answer) => answer(null, call.request);
  for (const [method, handler] of Object.entries({ [path.echo]: echo, ...more })) {
    server.register(method, handler, asItIs, asItIs, "unary");
  }
  const hold = (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    call.on("data", (message: Buffer) => call.write(message));
    call.on("end", () => call.end());
    // A call that breaks off is of no interest here.
    call.on("error", () => undefined);
  };
  server.register(path.hold, hold, asItIs, asItIs, "bidi");
  await new Promise<void>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error) => (error ? reject(error) : resolve()));
  });
  opened.push({ close: () => server.forceShutdown() });
  return server;
}
