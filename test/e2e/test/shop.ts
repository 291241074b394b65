import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { until } from "../src/index.ts";

/** Of one load, unless it says otherwise: calls at a time, and calls that `more` waits for. */
const loopsDefault = 16;
const callsEach = 300;

const asItIs = (bytes: Buffer) => bytes;
const method = (name: string, stream: boolean) => ({
  path: `/drain.Shop/${name}`,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
});
const methods = { order: method("Order", false), watch: method("Watch", true) };

/** An application of this test's own process. */
export interface Shop {
  readonly port: number;
  served: number;
  readonly server: grpc.Server;
}

export async function openShop(): Promise<Shop> {
  const server = new grpc.Server({ "grpc.enable_channelz": 0 });
  const shop = { port: 0, served: 0, server };
  server.addService(methods as unknown as grpc.ServiceDefinition, {
    order(call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) {
      shop.served += 1;
      setTimeout(() => answer(null, call.request), shop.served % 5);
    },
    watch(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (message) => call.write(message));
      call.on("end", () => call.end());
      call.on("error", () => undefined);
    },
  });
  const credentials = grpc.ServerCredentials.createInsecure();
  shop.port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
  return shop;
}

/** Makes calls without a pause until `stop`, and notes those that fail. */
export class Load {
  answered = 0;
  readonly failures: string[] = [];
  readonly #client: grpc.Client;
  readonly #done: Promise<unknown>;
  #phase: "running" | "stopping" = "running";

  constructor(client: grpc.Client, loops = loopsDefault) {
    this.#client = client;
    this.#done = Promise.all(Array.from({ length: loops }, () => this.#loop()));
  }

  async more(calls = callsEach): Promise<void> {
    const least = this.answered + this.failures.length + calls;
    await until("calls that are answered", () => (this.answered + this.failures.length >= least ? "yes" : undefined));
  }

  async stop(): Promise<void> {
    this.#phase = "stopping";
    await this.#done;
  }

  async #loop(): Promise<void> {
    while (this.#phase === "running") {
      const error = await new Promise<grpc.ServiceError | null>((resolve) => {
        const { path } = methods.order;
        this.#client.makeUnaryRequest(path, asItIs, asItIs, Buffer.from("one"), (refused) => resolve(refused));
      });
      if (error === null) this.answered += 1;
      else this.failures.push(`${error.code} ${error.details}`);
      // Who is refused again and again must not keep everybody busy.
      if (error !== null) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A call that has been answered once, and stays open. */
interface Held {
  readonly stream: grpc.ClientDuplexStream<Buffer, Buffer>;
  /** The code it ends with. */
  readonly end: Promise<number>;
}

export async function hold(client: grpc.Client): Promise<Held> {
  const stream = client.makeBidiStreamRequest(methods.watch.path, asItIs, asItIs);
  const end = new Promise<number>((resolve) => stream.once("status", ({ code }) => resolve(code)));
  // The status says the same.
  stream.on("error", () => undefined);
  const first = new Promise<"answered">((resolve) => stream.once("data", () => resolve("answered")));
  stream.write(Buffer.from("first"));
  assert.equal(await Promise.race([first, end]), "answered");
  return { stream, end };
}

/** Until a call gets there: an agent may not know yet what the coordinator does. */
export async function reached(client: grpc.Client): Promise<grpc.Client> {
  await until("a call that gets there", async () => {
    const { path } = methods.order;
    const error = await new Promise((resolve) =>
      client.makeUnaryRequest(path, asItIs, asItIs, Buffer.from("one"), resolve),
    );
    return error === null ? "yes" : undefined;
  });
  return client;
}
