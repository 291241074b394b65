import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { type TestContext, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { createParticipant } from "../src/index.ts";
import { Agent, type Bank, type BankClient, connect, gate, pay, serve, statusOf, until, withId } from "./kit.ts";

interface SurfaceCall {
  readonly metadata: grpc.Metadata;
}

const reset = { code: grpc.status.CANCELLED, details: "The call was reset before its handler began" };

const kinds = {
  unary: (client: BankClient, metadata: grpc.Metadata) => client.pay({}, metadata, () => undefined),
  "client streaming": (client: BankClient, metadata: grpc.Metadata) => {
    const call = client.collect(metadata, () => undefined);
    call.end({ amount: 1 });
    return call;
  },
  "server streaming": (client: BankClient, metadata: grpc.Metadata) =>
    client
      .list({}, metadata)
      .on("error", () => undefined)
      .resume(),
  bidirectional: (client: BankClient, metadata: grpc.Metadata) => {
    const call = client.chat(metadata);
    call.on("error", () => undefined);
    call.resume().end({ amount: 1 });
    return call;
  },
};

type Kind = keyof typeof kinds;

/** An application whose handlers answer when another process has answered them; that one waits for `answer`. */
async function application(t: TestContext, firstCallId = 1) {
  const answer = gate();
  const far = await serve(t, new grpc.Server(), {
    pay: (_call, callback) => void answer.promise.then(() => callback(null, {})),
  });
  const participant = createParticipant({ state: () => ({}) });
  const peer = participant.client(connect(t, far));
  const began: unknown[] = [];
  const handle = (call: SurfaceCall, done: () => void): void => {
    began.push(call.metadata.get("name")[0]);
    peer.pay({}, done);
  };
  const bank: Bank = {
    pay: (call, callback) => handle(call, () => callback(null, {})),
    collect: (call, callback) => handle(call.resume(), () => callback(null, {})),
    list: (call) => handle(call, () => call.end()),
    chat: (call) => handle(call.resume(), () => call.end()),
  };
  const server = new grpc.Server();
  const arrived: string[] = [];
  // Below the SDK's own layer: what it registers is seen the moment grpc-js hands a call to it.
  const register = server.register.bind(server);
  server.register = (path, handler, serialize, deserialize, type) => {
    const seen = (...args: unknown[]): unknown => {
      const result = (handler as unknown as (...args: unknown[]) => unknown)(...args);
      if (path.startsWith("/test.Bank/")) arrived.push(path);
      return result;
    };
    return register(path, seen as unknown as typeof handler, serialize, deserialize, type);
  };
  const address = await serve(t, participant.server(server), bank);
  const agent = await Agent.greet(t, address, firstCallId);
  const client = connect(t, address);
  const call = (kind: Kind, id: number, name: string) => {
    const metadata = withId(id);
    metadata.set("name", name);
    const made = kinds[kind](client, metadata);
    return { status: statusOf(made as grpc.ClientUnaryCall), cancel: () => made.cancel() };
  };
  /** A capture that waits until `resolve` is called, and everything that arrives waits for it. */
  const blocked = async () => {
    const hold = gate();
    const held = participant.atomic(() => hold.promise);
    const capture = agent.capture();
    await agent.hello(firstCallId, "one");
    return async () => {
      hold.resolve();
      await held;
      return (await capture).point;
    };
  };
  return { address, agent, client, call, blocked, began, arrived, answer: () => answer.resolve() };
}

function brief({ code, details }: grpc.StatusObject) {
  return { code, details };
}

for (const kind of Object.keys(kinds) as Kind[]) {
  test(`${kind}: settled before it arrives, it is not served and leaves no gap`, async (t) => {
    const { agent, call, began, answer } = await application(t);
    assert.deepEqual(await agent.settle([1]), []);
    const before = await agent.capture();
    assert.deepEqual([before.point.incomingBegun, before.point.incomingOpen], [{ first: 1, through: 1, also: [] }, []]);
    assert.deepEqual(brief(await call(kind, 1, "settled").status), reset);
    answer();
    assert.equal((await call(kind, 2, "ordinary").status).code, grpc.status.OK);
    assert.deepEqual(began, ["ordinary"]);
    const { point } = await agent.capture();
    assert.deepEqual([point.incomingBegun, point.incomingOpen], [{ first: 1, through: 2, also: [] }, []]);
  });

  test(`${kind}: settled while it waits for a capture, it is begun and ended for that one, and never runs`, async (t) => {
    const { agent, call, blocked, began, arrived, answer } = await application(t);
    const release = await blocked();
    const settled = call(kind, 1, "settled");
    const ordinary = call(kind, 2, "ordinary");
    await until(() => arrived.length === 2);
    await agent.settle([1]);
    const point = await release();
    assert.deepEqual([point.incomingBegun, point.incomingOpen], [{ first: 1, through: 1, also: [] }, []]);
    assert.deepEqual(brief(await settled.status), reset);
    answer();
    assert.equal((await ordinary.status).code, grpc.status.OK);
    assert.deepEqual(began, ["ordinary"]);
    assert.deepEqual((await agent.capture()).point.incomingOpen, []);
  });

  test(`${kind}: reset and settled while it waits for a capture, it is begun and ended for that one`, async (t) => {
    const { agent, client, call, blocked, began, arrived } = await application(t);
    const release = await blocked();
    const settled = call(kind, 1, "settled");
    await until(() => arrived.length === 1);
    settled.cancel();
    await settled.status;
    // Behind the reset on the same connection, so that the server has seen that.
    await new Promise((resolve) =>
      client.makeUnaryRequest(
        "/test.Bank/Nothing",
        () => Buffer.alloc(0),
        () => ({}),
        {},
        resolve,
      ),
    );
    await agent.settle([1]);
    const point = await release();
    assert.deepEqual([point.incomingBegun, point.incomingOpen], [{ first: 1, through: 1, also: [] }, []]);
    assert.deepEqual(began, []);
  });

  test(`${kind}: settled after it has begun, it goes on, and is open until it ends`, async (t) => {
    const { agent, call, began, answer } = await application(t);
    const running = call(kind, 1, "running");
    await until(() => began.length === 1);
    assert.deepEqual(await agent.settle([1]), [1]);
    const { point } = await agent.capture();
    assert.deepEqual(point.incomingBegun, { first: 1, through: 1, also: [] });
    assert.deepEqual(
      point.incomingOpen.map((open) => [open.callId, open.waitsFor]),
      [[1, [1]]],
    );
    answer();
    assert.equal((await running.status).code, grpc.status.OK);
    assert.deepEqual((await agent.capture()).point.incomingOpen, []);
  });
}

test("a request that was reset before it was complete leaves a gap, and settling closes it", async (t) => {
  const { address, agent, call, answer } = await application(t);
  answer();
  const session = connectHttp2(`http://${address}`);
  t.after(() => session.destroy());
  const headers = { ":method": "POST", ":path": "/test.Bank/Pay", te: "trailers", "content-type": "application/grpc" };
  const request = session.request({ ...headers, "cutline-call-id": "1" });
  const closed = new Promise((resolve) => request.once("close", resolve));
  request.close(8);
  await closed;
  assert.equal((await call("unary", 2, "ordinary").status).code, grpc.status.OK);
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 1, through: 0, also: [2] });
  await agent.settle([1, 2]);
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 1, through: 2, also: [] });
});

test("ids that are not this incarnation's are ignored, and a new incarnation settles anew", async (t) => {
  const { agent, client, call, began, answer } = await application(t, 100);
  answer();
  await agent.settle([7, 99, 100 + 2 ** 32, 102]);
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 100, through: 99, also: [102] });
  for (const id of [7, 99, 100 + 2 ** 32]) await pay(client, {}, withId(id));
  await agent.hello(50, "two");
  assert.equal((await call("unary", 102, "anew").status).code, grpc.status.OK);
  assert.equal(began.at(-1), "anew");
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 50, through: 49, also: [102] });
});

test("before an agent has greeted, settling does nothing", async (t) => {
  const participant = createParticipant({ state: () => ({}) });
  const here = await serve(t, participant.server(new grpc.Server()), { pay: (_call, callback) => callback(null, {}) });
  const agent = Agent.connect(t, here);
  await agent.settle([1]);
  await agent.hello(1, "one");
  await pay(connect(t, here), {}, withId(1));
});

test("4,096 ids in one request are settled, with 4,097 none is, and the reason says so", async (t) => {
  const { agent, call, answer } = await application(t);
  answer();
  const ids = Array.from({ length: 4_097 }, (_, at) => at + 1);
  await assert.rejects(agent.settle(ids), {
    code: grpc.status.INVALID_ARGUMENT,
    details: /^SettleTooLarge: 4097 call ids in one request, the limit is 4096/,
  });
  assert.equal((await call("unary", 1, "ordinary").status).code, grpc.status.OK);
  await agent.settle(ids.slice(1));
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 1, through: 4_097, also: [] });
});

test("a gap overtaken by more than 100,000 ids counts as begun, and its calls are served all the same", async (t) => {
  const { agent, call, began, answer } = await application(t);
  answer();
  const even = Array.from({ length: 100_001 }, (_, at) => 2 * at + 2);
  for (let at = 0; at < even.length; at += 4_096) await agent.settle(even.slice(at, at + 4_096));
  const { incomingBegun } = (await agent.capture()).point;
  assert.deepEqual([incomingBegun.through, incomingBegun.also.length], [2, 100_000]);
  for (const id of [1, 3, 200_001]) {
    assert.equal((await call("unary", id, `ordinary ${id}`).status).code, grpc.status.OK);
  }
  for (const id of [2, 4, 200_002]) assert.deepEqual(brief(await call("unary", id, "settled").status), reset);
  assert.deepEqual(began, ["ordinary 1", "ordinary 3", "ordinary 200001"]);
});
