import assert from "node:assert/strict";
import type { EventEmitter } from "node:events";
import { type TestContext, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { createParticipant } from "../src/index.ts";
import { Agent, type Bank, BankClient, connect, gate, type Note, nextTurn, pay, serve, until } from "./kit.ts";

type Log = unknown[];

function metadataOf(...pairs: [string, string][]): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [key, value] of pairs) metadata.add(key, value);
  return metadata;
}

/** A service with something of everything; `this` matters, as in a class. */
class Everything {
  readonly #log: Log;
  readonly name = "everything";

  constructor(log: Log) {
    this.#log = log;
  }

  pay(call: grpc.ServerUnaryCall<Note, Note>, callback: grpc.sendUnaryData<Note>): unknown {
    this.#log.push(["served by", this.name, call.getPath(), Object.keys(call.metadata.getMap()).sort()]);
    switch (call.request.text) {
      case "fail":
        return callback({ code: grpc.status.ABORTED, details: "no", metadata: metadataOf(["why", "because"]) });
      case "throw":
        throw new Error("thrown");
      case "hang":
        call.on("cancelled", () => this.#log.push(["cancelled", call.cancelled]));
        return undefined;
      case "headers":
        call.sendMetadata(metadataOf(["early", "1"], ["twice", "a"], ["twice", "b"]));
        return callback(null, { text: "sent" }, metadataOf(["late", "2"]));
      default:
        return callback(null, { text: `${this.name} ${call.request.text}` });
    }
  }

  collect(call: grpc.ServerReadableStream<Note, Note>, callback: grpc.sendUnaryData<Note>): void {
    let amount = 0;
    call.on("data", (note: Note) => {
      amount += note.amount ?? 0;
    });
    call.on("end", () => callback(null, { amount }, metadataOf(["late", "3"])));
  }

  list(call: grpc.ServerWritableStream<Note, Note>): void {
    // Before anything is written: after that, grpc-js itself loses the status of a handler that throws.
    if (call.request.text === "throw") throw new Error("thrown");
    call.sendMetadata(metadataOf(["early", "4"]));
    for (let amount = 0; amount < 3; amount += 1) call.write({ amount });
    if (call.request.text === "fail") call.emit("error", { code: grpc.status.DATA_LOSS, details: "torn" });
    else if (call.request.text !== "hang") call.end(metadataOf(["late", "5"]));
  }

  async chat(call: grpc.ServerDuplexStream<Note, Note>): Promise<void> {
    for await (const note of call as AsyncIterable<Note>) {
      await nextTurn();
      call.write({ text: `re: ${note.text}` });
    }
    call.end();
  }
}

function visible(metadata: grpc.Metadata | undefined): unknown {
  const { date: _, ...map } = metadata?.toJSON() ?? {};
  return map;
}

/** Everything a client can see of a call, in the order in which it sees it. */
function observe(call: EventEmitter, log: Log): Promise<void> {
  return new Promise((resolve) => {
    const sight = { status: false, close: !("read" in call) };
    const see = (what: keyof typeof sight): void => {
      sight[what] = true;
      if (sight.status && sight.close) resolve();
    };
    call.on("metadata", (metadata: grpc.Metadata) => log.push(["metadata", visible(metadata)]));
    call.on("status", ({ code, details, metadata }: grpc.StatusObject) => {
      log.push(["status", code, details, visible(metadata)]);
      see("status");
    });
    call.on("data", (note: Note) => log.push(["data", note]));
    call.on("end", () => log.push(["end"]));
    call.on("error", (error: grpc.ServiceError) => log.push(["error", error.code, error.details, error.message]));
    call.on("close", () => {
      log.push(["close"]);
      see("close");
    });
  });
}

function answer(log: Log): (error: grpc.ServiceError | null, value?: Note) => void {
  return (error, value) => {
    log.push(["answer", error && [error.code, error.details, error.message, visible(error.metadata)], value]);
  };
}

async function scenario(t: TestContext, how: "plain" | "with the SDK"): Promise<{ client: Log; server: Log }> {
  const log: Log = [];
  // Apart, because what happens at the two ends has no order.
  const server: Log = [];
  const participants =
    how === "plain" ? undefined : [createParticipant({ state: () => ({}) }), createParticipant({ state: () => ({}) })];
  const plain = new grpc.Server();
  const bank = new Everything(server) as unknown as Bank;
  const address = await serve(t, participants?.[0]?.server(plain) ?? plain, bank);
  const interceptor: grpc.Interceptor = (options, next) => {
    log.push(["intercepted", options.method_definition.path]);
    return new grpc.InterceptingCall(next(options));
  };
  const bare = connect(t, address, { interceptors: [interceptor] });
  const client = participants?.[1]?.client(bare) ?? bare;
  log.push(client instanceof BankClient, client instanceof grpc.Client, typeof client.getChannel().getTarget());

  for (const text of ["plain", "fail", "throw", "headers"]) {
    const call = client.pay({ text }, metadataOf(["mine", "x"]), answer(log));
    log.push([call.constructor.name, call.getPeer()]);
    await observe(call, log);
  }
  await observe(client.pay({ text: "hang" }, { deadline: Date.now() + 300 }, answer(log)), log);
  const hanging = client.pay({ text: "hang" }, new grpc.Metadata(), {}, answer(log));
  const seen = observe(hanging, log);
  await until(() => server.filter((entry) => Array.isArray(entry) && entry[0] === "served by").length === 6);
  hanging.cancel();
  await seen;
  await until(() => server.filter((entry) => Array.isArray(entry) && entry[0] === "cancelled").length === 2);
  await observe(
    client.makeUnaryRequest(
      "/test.Bank/Nothing",
      () => Buffer.alloc(0),
      () => ({}),
      {},
      answer(log),
    ),
    log,
  );
  const direct = client.pay as unknown as (...args: unknown[]) => unknown;
  for (const args of [[], [{}], [{}, new grpc.Metadata()], [{}, null, () => undefined], [{}, "no", () => undefined]]) {
    try {
      await observe(direct.apply(client, args) as grpc.ClientUnaryCall, log);
    } catch (error) {
      log.push(["threw", String(error)]);
    }
  }

  const collect = client.collect(answer(log));
  log.push([collect.constructor.name, collect.write({ amount: 3 }), collect.writableLength]);
  const collected = observe(collect, log);
  collect.end({ amount: 4 });
  await collected;
  for (const text of ["plain", "fail", "throw"]) await observe(client.list({ text }, metadataOf(["mine", "y"])), log);
  const cancelled = client.list({ text: "hang" });
  const end = observe(cancelled, log);
  await until(
    () =>
      log.filter((entry) => Array.isArray(entry) && entry[0] === "data").length >= 9 && cancelled.readableLength === 0,
  );
  cancelled.cancel();
  await end;

  const chat = client.chat();
  chat.write({ text: "one" });
  chat.write({ text: "two" });
  chat.end();
  for await (const note of chat as AsyncIterable<Note>) log.push(["for await", note]);
  const failing = client.list({ text: "fail" });
  try {
    for await (const note of failing as AsyncIterable<Note>) log.push(["for await", note]);
  } catch (error) {
    log.push(["caught", (error as grpc.ServiceError).code, (error as grpc.ServiceError).details]);
  }
  const broken = client.list({ text: "plain" });
  for await (const note of broken as AsyncIterable<Note>) {
    log.push(["broke off at", note]);
    break;
  }
  // A `break` alone destroys the stream and leaves its call open, in grpc-js too.
  broken.cancel();
  log.push(await client.list({ text: "plain" }).toArray());
  return { client: log, server };
}

/** Ports and times differ from run to run. */
function normal(log: unknown): unknown {
  const text = JSON.stringify(log, (_key, value: unknown) => (value === undefined ? "undefined" : value));
  return JSON.parse(
    text.replaceAll(/127\.0\.0\.1:\d+/g, "ADDRESS").replaceAll(/Deadline exceeded after [^"]*/g, "Deadline exceeded"),
  );
}

test("without an agent everything looks the same with the SDK and without it", async (t) => {
  const plain = await scenario(t, "plain");
  const wrapped = await scenario(t, "with the SDK");
  assert.ok(plain.client.length > 60 && plain.server.length > 6);
  assert.deepEqual(normal(wrapped), normal(plain));
});

test("what a handler throws while it had to wait for a capture becomes the same status", async (t) => {
  const participant = createParticipant({ state: () => ({}) });
  const here = await serve(t, participant.server(new grpc.Server()), new Everything([]) as unknown as Bank);
  const agent = await Agent.greet(t, here);
  const hold = gate();
  const held = participant.atomic(() => hold.promise);
  const capture = agent.capture();
  await agent.hello(1, "one");
  const client = connect(t, here);
  const thrown = { code: grpc.status.UNKNOWN, details: "Unknown error" };
  const unary = assert.rejects(pay(client, { text: "throw" }), thrown);
  const stream = assert.rejects(client.list({ text: "throw" }).toArray(), thrown);
  // The same connection carries it after the two, so both wait by then.
  await new Promise((resolve) =>
    client.makeUnaryRequest(
      "/test.Bank/Nothing",
      () => Buffer.alloc(0),
      () => ({}),
      {},
      resolve,
    ),
  );
  hold.resolve();
  await Promise.all([held, capture, unary, stream]);
  assert.deepEqual((await agent.capture()).point.incomingOpen, []);
});

test("answers that waited for a capture keep their order, and one that throws does not harm the others", async (t) => {
  const participant = createParticipant({ state: () => ({}) });
  let arrived = 0;
  const here = await serve(t, participant.server(new grpc.Server()), {});
  const far = await serve(t, new grpc.Server(), {
    pay: (call, callback) => {
      arrived += 1;
      callback(null, call.request);
    },
  });
  const agent = await Agent.greet(t, here);
  const peer = participant.client(connect(t, far));
  const hold = gate();
  const held = participant.atomic(() => hold.promise);
  const capture = agent.capture();
  await agent.hello(1, "one");
  const order: string[] = [];
  const uncaught: unknown[] = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => uncaught.push(error));
  t.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
  });
  const done = [1, 2].map((amount) => {
    const call = peer.pay({ amount }, () => {
      order.push(`answer ${amount}`);
      if (amount === 1) throw new Error("the application's own");
    });
    return new Promise<void>((resolve) => {
      call.on("status", () => {
        order.push(`status ${amount}`);
        resolve();
      });
    });
  });
  await until(() => arrived === 2);
  await agent.hello(1, "one");
  assert.equal(order.length, 0);
  hold.resolve();
  await Promise.all([...done, held, capture]);
  await until(() => uncaught.length === 1);
  assert.match(String(uncaught[0]), /the application's own/);
  assert.deepEqual([...order].sort(), ["answer 1", "answer 2", "status 1", "status 2"]);
  assert.ok(order.indexOf("answer 2") < order.indexOf("status 2"));
});

test("wrong use is refused with a typed error", (t) => {
  const participant = createParticipant({ state: () => ({}) });
  const server = new grpc.Server();
  server.register(
    "/test.Bank/Pay",
    () => undefined,
    () => Buffer.alloc(0),
    () => ({}),
    "unary",
  );
  assert.throws(() => participant.server(server), { code: "ServicesAlreadyAdded" });
  assert.throws(() => participant.client({ pay: () => undefined }), { code: "NotAClient" });
  assert.throws(() => createParticipant({ state: () => ({}), receiptIntervalMs: 0 }), { code: "OptionOutOfRange" });
  const client = connect(t, "127.0.0.1:1");
  assert.throws(() => (participant.client(client).pay as unknown as () => void)(), /Incorrect arguments passed/);
});
