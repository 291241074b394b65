import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as grpc from "@grpc/grpc-js";
import { holdLoopBodies, InboundMessages } from "../src/inbound.ts";
import { createParticipant } from "../src/index.ts";
import { Sections } from "../src/section.ts";
import { Agent, type Bank, connect, gate, type Note, nextTurn, pay, serve, type Taken, until, withId } from "./kit.ts";

// What a call counts as, and what the application has been told of it, are never on two sides of an instant.

const refused = { code: grpc.status.ABORTED, details: "no more" };

/** One process with a state, and another one that it calls. */
async function twoProcesses(t: TestContext, { here = {}, far }: { here?: Bank; far: Bank }) {
  const told: string[] = [];
  const participant = createParticipant({ state: () => told });
  const peer = participant.client(connect(t, await serve(t, new grpc.Server(), far)));
  const address = await serve(t, participant.server(new grpc.Server()), here);
  const agent = await Agent.greet(t, address);
  const capture = async () => seen(await agent.capture());
  /** A capture that waits until it is released. */
  const pendingCapture = async () => {
    const release = gate();
    const holding = participant.atomic(() => release.promise);
    const taken = capture();
    await agent.hello(1, "one");
    return async () => {
      release.resolve();
      await holding;
      return await taken;
    };
  };
  return { told, peer, client: connect(t, address), capture, pendingCapture };
}

function seen({ point, state }: Taken) {
  return {
    told: JSON.parse(state) as string[],
    outgoing: point.outgoingOpen.map(({ callId }) => callId),
    incoming: point.incomingOpen.map(({ callId }) => callId),
    endsReceived: point.incomingOpen.filter(({ endReceived }) => endReceived).map(({ callId }) => callId),
  };
}

/** Options of a call that tell when its status has come and gone, whoever was told of it. */
function arrival() {
  const arrived = gate();
  const interceptor: grpc.Interceptor = (options, next) =>
    new grpc.InterceptingCall(next(options), {
      start: (metadata, _listener, start) =>
        start(metadata, {
          onReceiveStatus: (status, pass) => {
            pass(status);
            arrived.resolve();
          },
        }),
    });
  return { arrived: arrived.promise.then(nextTurn), options: { interceptors: [interceptor] } };
}

/** A far process whose stream gives `messages`, and ends as it is told to. */
function lister(messages: number) {
  const served = gate<grpc.ServerWritableStream<Note, Note>>();
  const list: NonNullable<Bank["list"]> = (call) => {
    for (let amount = 1; amount <= messages; amount += 1) call.write({ amount });
    served.resolve(call);
  };
  const end = async (how: "ends" | "fails"): Promise<void> => {
    const call = await served.promise;
    if (how === "ends") call.end();
    else call.emit("error", refused);
  };
  return { list, end };
}

for (const how of ["ends", "fails"] as const) {
  for (const where of ["in a handler", "outside every section"] as const) {
    test(`a loop ${where} whose stream ${how} while a capture is pending: open until the loop is told`, async (t) => {
      const { list, end } = lister(1);
      const { arrived, options } = arrival();
      const loop = async (): Promise<void> => {
        try {
          for await (const _ of peer.list({}, new grpc.Metadata(), options)) told.push("message");
          told.push("ends");
        } catch {
          told.push("fails");
        }
      };
      const process = await twoProcesses(t, {
        here: { pay: (_call, callback) => void loop().then(() => callback(null, {})) },
        far: { list },
      });
      const { told, peer, client, capture, pendingCapture } = process;
      const looped = where === "in a handler" ? pay(client, {}, withId(1)) : loop();
      await until(() => told.length === 1);
      const release = await pendingCapture();
      await end(how);
      await arrived;
      const taken = await release();
      assert.deepEqual([taken.told, taken.outgoing], [["message"], [1]]);
      await looped;
      const after = await capture();
      assert.deepEqual([after.told, after.outgoing], [["message", how], []]);
    });

    test(`a loop ${where} whose stream ${how} while its body waits for another call: open`, async (t) => {
      const { list, end } = lister(1);
      const { arrived, options } = arrival();
      const answer = gate();
      const loop = async (): Promise<void> => {
        try {
          for await (const _ of peer.list({}, new grpc.Metadata(), options)) {
            told.push("message");
            await pay(peer, {});
          }
        } catch {
          // Counted below, as the end is.
        }
        told.push("over");
      };
      const process = await twoProcesses(t, {
        here: { pay: (_call, callback) => void loop().then(() => callback(null, {})) },
        far: { list, pay: (_call, callback) => void answer.promise.then(() => callback(null, {})) },
      });
      const { told, peer, client, capture } = process;
      const looped = where === "in a handler" ? pay(client, {}, withId(1)) : loop();
      await until(() => told.length === 1);
      await end(how);
      await arrived;
      const taken = await capture();
      assert.deepEqual([taken.told, taken.outgoing], [["message"], [1, 2]]);
      answer.resolve();
      await looped;
      const after = await capture();
      assert.deepEqual([after.told, after.outgoing], [["message", "over"], []]);
    });
  }

  test(`listeners of a stream that ${how} while a capture is pending: open until they are called`, async (t) => {
    const { list, end } = lister(1);
    const { arrived, options } = arrival();
    const { told, peer, capture, pendingCapture } = await twoProcesses(t, { far: { list } });
    const call = peer.list({}, new grpc.Metadata(), options);
    call.on("data", () => told.push("message"));
    call.on("error", () => told.push("fails"));
    call.on("end", () => told.push("ends"));
    await until(() => told.length === 1);
    const release = await pendingCapture();
    await end(how);
    await arrived;
    assert.ok(call.readableEnded);
    const taken = await release();
    assert.deepEqual([taken.told, taken.outgoing], [["message"], [1]]);
    await until(() => told.includes("ends"));
    const after = await capture();
    assert.deepEqual([after.told.includes(how), after.outgoing], [true, []]);
  });
}

test("a loop that cancels its call, and then waits for another one: open until it is told", async (t) => {
  const { list } = lister(1);
  const { arrived, options } = arrival();
  const answer = gate();
  const { told, peer, capture } = await twoProcesses(t, {
    far: { list, pay: (_call, callback) => void answer.promise.then(() => callback(null, {})) },
  });
  const loop = async (): Promise<void> => {
    const call = peer.list({}, new grpc.Metadata(), options);
    for await (const _ of call) {
      call.cancel();
      await pay(peer, {});
    }
  };
  const looped = loop().catch((error: grpc.ServiceError) => told.push(error.details));
  await arrived;
  assert.deepEqual((await capture()).outgoing, [1, 2]);
  answer.resolve();
  await looped;
  const after = await capture();
  assert.deepEqual([after.told, after.outgoing], [["Cancelled on client"], []]);
});

test("a loop that breaks off has ended", async (t) => {
  const { list } = lister(1);
  const { peer, capture } = await twoProcesses(t, { far: { list } });
  for await (const _ of peer.list({})) break;
  assert.deepEqual((await capture()).outgoing, []);
});

test("an iterator that was dropped half-way does not keep its call open", async (t) => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const { list, end } = lister(1);
  const { arrived, options } = arrival();
  const { peer, capture } = await twoProcesses(t, { far: { list } });
  const takeOne = async (): Promise<void> => {
    const iterator = peer.list({}, new grpc.Metadata(), options)[Symbol.asyncIterator]();
    assert.equal((await iterator.next()).done, false);
    await end("ends");
    await arrived;
    assert.deepEqual((await capture()).outgoing, [1], "it may ask for more");
    assert.ok(iterator);
  };
  await takeOne();
  for (let open = [1]; open.length > 0; open = (await capture()).outgoing) {
    collectGarbage();
    await nextTurn();
  }
});

for (const messages of [0, 1]) {
  test(`a paused stream with ${messages} messages left, read while a capture is pending: open until "end"`, async (t) => {
    const { list, end } = lister(messages);
    const { arrived, options } = arrival();
    const { told, peer, capture, pendingCapture } = await twoProcesses(t, { far: { list } });
    const call = peer.list({}, new grpc.Metadata(), options);
    call.on("data", () => told.push("message"));
    call.on("end", () => told.push("end"));
    call.pause();
    call.read(0);
    await end("ends");
    await arrived;
    assert.deepEqual((await capture()).outgoing, [1]);
    const release = await pendingCapture();
    call.resume();
    await until(() => call.readableEnded);
    const taken = await release();
    assert.deepEqual([taken.told.length, taken.outgoing], [messages, [1]]);
    await until(() => told.includes("end"));
    assert.deepEqual((await capture()).outgoing, []);
  });
}

test("who listens for the status alone has been told with it", async (t) => {
  const { list, end } = lister(0);
  const { told, peer, capture, pendingCapture } = await twoProcesses(t, { far: { list } });
  const { arrived, options } = arrival();
  const call = peer.list({}, new grpc.Metadata(), options).on("status", () => told.push("status"));
  call.read(0);
  const release = await pendingCapture();
  await end("ends");
  await arrived;
  const taken = await release();
  assert.deepEqual([taken.told, taken.outgoing], [[], [1]]);
  await until(() => told.length === 1);
  assert.deepEqual((await capture()).outgoing, []);
});

for (const kind of ["unary", "client-streaming"] as const) {
  for (const how of ["answered", "refused"] as const) {
    test(`a ${kind} call ${how} while a capture is pending: open until its callback runs`, async (t) => {
      const go = gate();
      const respond = (callback: grpc.sendUnaryData<Note>): void => {
        void go.promise.then(() => (how === "answered" ? callback(null, {}) : callback(refused)));
      };
      const { told, peer, capture, pendingCapture } = await twoProcesses(t, {
        far: {
          pay: (_call, callback) => respond(callback),
          collect: (call, callback) => {
            call.resume();
            respond(callback);
          },
        },
      });
      const { arrived, options } = arrival();
      const answered = new Promise<string>((resolve, reject) => {
        const callback = (error: grpc.ServiceError | null): void =>
          error === null ? resolve("answered") : reject(error);
        if (kind === "unary") peer.pay({}, options, callback);
        else peer.collect(options, callback).end();
      });
      const promised = answered.catch(() => "refused").then((outcome) => told.push(outcome));
      const release = await pendingCapture();
      go.resolve();
      await arrived;
      const taken = await release();
      assert.deepEqual([taken.told, taken.outgoing], [[], [1]]);
      await promised;
      const after = await capture();
      assert.deepEqual([after.told, after.outgoing], [[how], []]);
    });
  }
}

test("a request loop at its last message has not received the end that is behind it", async (t) => {
  const answer = gate();
  const rest = gate();
  const process = await twoProcesses(t, {
    here: {
      async collect(call, callback) {
        call.read(0);
        await until(() => call.readableLength === 1 && endArrived(call));
        for await (const _ of call) {
          told.push("message");
          await pay(peer, {});
        }
        told.push("end");
        await pay(peer, { text: "rest" });
        callback(null, {});
      },
    },
    far: {
      pay: ({ request }, callback) =>
        void (request.text === "rest" ? rest : answer).promise.then(() => callback(null, {})),
    },
  });
  const { told, peer, client, capture } = process;
  const answered = gate();
  const call = client.collect(withId(1), () => answered.resolve());
  call.end({});
  await until(() => told.length === 1);
  const inBody = await capture();
  assert.deepEqual([inBody.told, inBody.incoming, inBody.endsReceived], [["message"], [1], []]);
  answer.resolve();
  await until(() => told.length === 2);
  const behind = await capture();
  assert.deepEqual([behind.told, behind.incoming, behind.endsReceived], [["message", "end"], [1], [1]]);
  rest.resolve();
  await answered.promise;
});

for (const handler of ["async", "plain"] as const) {
  test(`a request loop of a handler that is ${handler}, cancelled while a capture is pending: open until it is told`, async (t) => {
    const serving = gate<grpc.ServerReadableStream<Note, Note>>();
    const loop = async (call: grpc.ServerReadableStream<Note, Note>): Promise<void> => {
      serving.resolve(call);
      try {
        for await (const _ of call) told.push("message");
      } finally {
        // Whether it is given an error or merely the end is up to grpc-js.
        told.push("over");
      }
    };
    const process = await twoProcesses(t, {
      here: { collect: handler === "async" ? loop : (call) => void loop(call) },
      far: {},
    });
    const { told, client, capture, pendingCapture } = process;
    const call = client.collect(withId(1), () => undefined);
    call.write({});
    await until(() => told.length === 1);
    const release = await pendingCapture();
    call.cancel();
    const served = await serving.promise;
    await until(() => served.closed);
    await nextTurn();
    const taken = await release();
    assert.deepEqual([taken.told, taken.incoming], [["message"], [1]]);
    await until(() => told.length === 2);
    const after = await capture();
    assert.deepEqual([after.told, after.incoming], [["message", "over"], []]);
  });
}

test("a message an iterator has read counts in the step in which the loop is given it, not a microtask before", async () => {
  const stream = new Readable({ objectMode: true, read: () => undefined });
  const sections = new Sections<never>();
  const home = sections.create({ label: "home", incoming: undefined, held: "turn" });
  const inbound = new InboundMessages(stream, () => undefined);
  holdLoopBodies(stream, { sections, inbound, home: () => home, onOver: () => undefined });
  stream.push({});
  let given = 0;
  const next = stream[Symbol.asyncIterator]()
    .next()
    .then(() => {
      given += 1;
    });
  // The reaction to the loop's promise runs one microtask after the promise is settled.
  let countedBefore = 0;
  for (let tick = 0; given === 0; tick += 1) {
    assert.ok(tick < 100);
    if (inbound.messagesReceived > 0) countedBefore += 1;
    await Promise.resolve();
  }
  await next;
  assert.deepEqual([inbound.messagesReceived, stream.readableLength], [1, 0]);
  assert.ok(countedBefore <= 1, `${countedBefore} microtasks before`);
});

function endArrived(stream: Readable): boolean {
  return Reflect.get(Reflect.get(stream, "_readableState") as object, "ended") === true;
}
