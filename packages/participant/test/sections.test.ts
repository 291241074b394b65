import assert from "node:assert/strict";
import { test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { createParticipant } from "../src/index.ts";
import { Agent, connect, gate, nextTurn, pay, serve, until, withId } from "./kit.ts";

test("a handler that waits for another process does not hold the capture up, and its waiting is reported", async (t) => {
  const answer = gate();
  const far = await serve(t, new grpc.Server(), {
    pay: (_call, callback) => void answer.promise.then(() => callback(null, { text: "far" })),
  });
  const state = { debited: 0, credited: 0 };
  const participant = createParticipant({ state: () => state });
  const peer = participant.client(connect(t, far));
  const here = await serve(t, participant.server(new grpc.Server()), {
    pay(call, callback) {
      const amount = call.request.amount ?? 0;
      const answered = pay(peer, { amount });
      // In the same turn as the call, though after it and in a promise reaction: stands together with it.
      void Promise.resolve().then(() => {
        state.debited += amount;
      });
      void answered.then(async () => {
        await nextTurn();
        state.credited += amount;
        callback(null, { text: "done" });
      });
    },
  });
  const agent = await Agent.greet(t, here);
  const paid = pay(connect(t, here), { amount: 5 }, withId(1));
  await until(() => state.debited === 5);
  const { point, state: taken } = await agent.capture();
  assert.deepEqual(JSON.parse(taken), { debited: 5, credited: 0 });
  assert.equal(point.epoch, 1);
  assert.equal(point.contentType, "application/json");
  assert.deepEqual(point.incomingBegun, { first: 1, through: 1, also: [] });
  assert.equal(point.incomingOpen.length, 1);
  assert.deepEqual(
    { ...point.incomingOpen[0] },
    {
      callId: 1,
      headersReceived: true,
      messagesReceived: 1,
      endReceived: true,
      headersSent: false,
      messagesSent: 0,
      endSent: false,
      waitsFor: [1],
      method: "/test.Bank/Pay",
    },
  );
  assert.deepEqual(
    point.outgoingOpen.map((call) => [
      call.callId,
      call.messagesSent,
      call.endSent,
      call.messagesReceived,
      call.endReceived,
    ]),
    [[1, 1, true, 0, false]],
  );
  answer.resolve();
  assert.deepEqual(await paid, { text: "done" });
  const after = await agent.capture();
  assert.deepEqual(JSON.parse(after.state), { debited: 5, credited: 5 });
  assert.deepEqual([after.point.epoch, after.point.incomingOpen, after.point.outgoingOpen], [2, [], []]);
});

test("after an answer the section is held until the handler ends, across real waits", async (t) => {
  const far = await serve(t, new grpc.Server(), { pay: (_call, callback) => callback(null, {}) });
  const state = { half: 0, whole: 0 };
  const participant = createParticipant({ state: () => state });
  const peer = participant.client(connect(t, far));
  const goOn = gate();
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(_call, callback) {
      await pay(peer, {});
      state.half += 1;
      await goOn.promise;
      await nextTurn();
      state.whole += 1;
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const paid = pay(connect(t, here), {}, withId(1));
  await until(() => state.half === 1);
  let outcome: "pending" | "taken" = "pending";
  const capture = agent.capture().then((taken) => {
    outcome = "taken";
    return taken;
  });
  await agent.hello(1, "one");
  assert.equal(outcome, "pending");
  goOn.resolve();
  assert.deepEqual(JSON.parse((await capture).state), { half: 1, whole: 1 });
  await paid;
});

test("a cycle A to B to A, in which everybody waits, is captured at once on both sides", async (t) => {
  const last = gate();
  const [a, b] = [createParticipant({ state: () => ({}) }), createParticipant({ state: () => ({}) })];
  const peers: Partial<Record<"a" | "b", ReturnType<typeof connect>>> = {};
  let reachedEnd = false;
  const addressA = await serve(t, a.server(new grpc.Server()), {
    async pay(call, callback) {
      if (call.request.text === "inner") {
        // What it waits for lies behind a third call, so that it is parked as well.
        await new Promise<void>((resolve) => {
          assert.ok(peers.b);
          peers.b.pay({ text: "last" }, () => resolve());
        });
      } else {
        assert.ok(peers.b);
        await pay(peers.b, { text: "outer" });
      }
      callback(null, {});
    },
  });
  const plain = await serve(t, new grpc.Server(), {
    pay: (_call, callback) => {
      reachedEnd = true;
      void last.promise.then(() => callback(null, {}));
    },
  });
  const end = b.client(connect(t, plain));
  const addressB = await serve(t, b.server(new grpc.Server()), {
    async pay(call, callback) {
      assert.ok(peers.a);
      if (call.request.text === "last") await pay(end, {});
      else await pay(peers.a, { text: "inner" });
      callback(null, {});
    },
  });
  peers.a = b.client(connect(t, addressA));
  peers.b = a.client(connect(t, addressB));
  const [agentA, agentB] = [await Agent.greet(t, addressA), await Agent.greet(t, addressB)];
  const paid = pay(connect(t, addressA), { text: "start" }, withId(1));
  await until(() => reachedEnd);
  const [takenA, takenB] = await Promise.all([agentA.capture(), agentB.capture()]);
  // Ids pass between the two directly here: A's outgoing ones are B's incoming ones.
  assert.deepEqual(
    takenA.point.outgoingOpen.map((call) => call.callId),
    [1, 2],
  );
  assert.deepEqual(
    takenB.point.incomingOpen.map((call) => [call.callId, call.waitsFor]),
    [
      [1, [1]],
      [2, [2]],
    ],
  );
  last.resolve();
  await paid;
});

test("a request that waits for the capture has not begun, and begins when the capture has passed", async (t) => {
  const goOn = gate();
  let begun = 0;
  const participant = createParticipant({ state: () => ({ begun }) });
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(call, callback) {
      begun += 1;
      if (call.request.text === "slow") await goOn.promise;
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const client = connect(t, here);
  const slow = pay(client, { text: "slow" }, withId(1));
  await until(() => begun === 1);
  const capture = agent.capture();
  await agent.hello(1, "one");
  const second = pay(client, {}, withId(2));
  await agent.hello(1, "one");
  await nextTurn();
  assert.equal(begun, 1);
  goOn.resolve();
  const { point, state } = await capture;
  assert.deepEqual(JSON.parse(state), { begun: 1 });
  assert.deepEqual(point.incomingBegun, { first: 1, through: 1, also: [] });
  assert.deepEqual(point.incomingOpen, []);
  await Promise.all([slow, second]);
  assert.equal(begun, 2);
});

test("a call cancelled before its handler could begin never begins, and leaves no gap", async (t) => {
  const goOn = gate();
  const begun: string[] = [];
  const participant = createParticipant({ state: () => "" });
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(call, callback) {
      begun.push(call.request.text ?? "");
      if (call.request.text === "slow") await goOn.promise;
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const client = connect(t, here);
  const slow = pay(client, { text: "slow" }, withId(1));
  await until(() => begun.length === 1);
  const capture = agent.capture();
  await agent.hello(1, "one");
  await assert.rejects(
    new Promise((_resolve, reject) => {
      client.pay({ text: "late" }, withId(2), { deadline: Date.now() + 60 }, (error) => reject(error));
    }),
    { code: grpc.status.DEADLINE_EXCEEDED },
  );
  await nextTurn();
  await agent.hello(1, "one");
  goOn.resolve();
  await Promise.all([slow, capture]);
  await pay(client, { text: "next" }, withId(3));
  assert.deepEqual(begun, ["slow", "next"]);
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 1, through: 3, also: [] });
});

test("a section that does not end meets the capture's deadline, is named, and everything goes on", async (t) => {
  const goOn = gate();
  let running = false;
  const participant = createParticipant({ state: () => ({}) });
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(call, callback) {
      running = true;
      if (call.request.text === "hang") await goOn.promise;
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const client = connect(t, here);
  const hanging = pay(client, { text: "hang" });
  await until(() => running);
  const sweeping = participant.atomic(() => goOn.promise, "nightly sweep");
  const refused = agent.capture({ deadlineMs: 50 });
  await agent.hello(1, "one");
  const traffic = pay(client, {});
  await assert.rejects(refused, (error: grpc.ServiceError) => {
    assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
    assert.match(error.details, /^CaptureDeadlineExceeded: after 50 ms 2 section/);
    assert.match(error.details, /\/test\.Bank\/Pay \(for \d+ ms\)/);
    assert.match(error.details, /nightly sweep/);
    return true;
  });
  await traffic;
  goOn.resolve();
  await Promise.all([hanging, sweeping]);
  assert.equal((await agent.capture()).point.epoch, 1, "the capture that failed ended no epoch");
});

test("atomic: whole or not at all, nested, with results and errors passed on", async (t) => {
  const state = { steps: 0 };
  const participant = createParticipant({ state: () => state });
  const agent = await Agent.greet(t, await serve(t, participant.server(new grpc.Server()), {}));
  const inner = gate();
  const work = participant.atomic(async () => {
    state.steps += 1;
    await participant.atomic(async () => {
      await inner.promise;
      state.steps += 1;
    });
    await nextTurn();
    state.steps += 1;
    return "result";
  });
  const capture = agent.capture();
  await agent.hello(1, "one");
  // Nested in a section that runs, it does not wait for the capture that waits for that section.
  inner.resolve();
  assert.equal(await work, "result");
  assert.deepEqual(JSON.parse((await capture).state), { steps: 3 });
  await assert.rejects(
    participant.atomic(() => {
      throw new Error("its own");
    }),
    /its own/,
  );
  await assert.rejects(
    participant.atomic(() => Promise.reject(new Error("later"))),
    /later/,
  );
  assert.equal(await participant.atomic(() => 7), 7);
});

test("atomic: lets a capture pass while it waits for another process, inside a handler too", async (t) => {
  const answer = gate();
  let asked = false;
  const far = await serve(t, new grpc.Server(), {
    pay: (_call, callback) => {
      asked = true;
      void answer.promise.then(() => callback(null, {}));
    },
  });
  const state = { before: 0, after: 0 };
  const participant = createParticipant({ state: () => state });
  const peer = participant.client(connect(t, far));
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(_call, callback) {
      await participant.atomic(async () => {
        state.before += 1;
        await pay(peer, {});
        await nextTurn();
        state.after += 1;
      });
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const paid = pay(connect(t, here), {}, withId(1));
  await until(() => asked);
  const { point, state: taken } = await agent.capture();
  assert.deepEqual(JSON.parse(taken), { before: 1, after: 0 });
  assert.deepEqual(
    point.incomingOpen.map((call) => call.waitsFor),
    [[1]],
  );
  answer.resolve();
  await paid;
  assert.deepEqual(state, { before: 1, after: 1 });
});

test("after parallel calls the last answer takes the section back for the rest of the handler", async (t) => {
  const gates = new Map([
    ["one", gate()],
    ["two", gate()],
  ]);
  const far = await serve(t, new grpc.Server(), {
    pay(call, callback) {
      arrived += 1;
      void gates.get(call.request.text ?? "")?.promise.then(() => callback(null, {}));
    },
  });
  let arrived = 0;
  const state = { answers: 0, done: 0 };
  const participant = createParticipant({ state: () => state });
  const peer = participant.client(connect(t, far));
  const rest = gate();
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(_call, callback) {
      const answered = (): void => {
        state.answers += 1;
      };
      await Promise.all([pay(peer, { text: "one" }).then(answered), pay(peer, { text: "two" }).then(answered)]);
      await rest.promise;
      state.done += 1;
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const paid = pay(connect(t, here), {}, withId(1));
  await until(() => arrived === 2);
  const before = await agent.capture();
  assert.deepEqual(
    before.point.incomingOpen.map((call) => call.waitsFor),
    [[1, 2]],
  );
  gates.get("one")?.resolve();
  await until(() => state.answers === 1);
  const between = await agent.capture();
  assert.deepEqual(
    between.point.incomingOpen.map((call) => call.waitsFor),
    [[2]],
  );
  gates.get("two")?.resolve();
  await until(() => state.answers === 2);
  const capture = agent.capture();
  await agent.hello(1, "one");
  rest.resolve();
  assert.deepEqual(JSON.parse((await capture).state), { answers: 2, done: 1 });
  await paid;
});

test("calls made outside every section: the epoch counts up with the captures, and ids from 1", async (t) => {
  const seen: (readonly [unknown, unknown])[] = [];
  const far = await serve(t, new grpc.Server(), {
    pay(call, callback) {
      seen.push([call.metadata.get("cutline-call-id")[0], call.metadata.get("cutline-epoch")[0]]);
      callback(null, {});
    },
  });
  const participant = createParticipant({ state: () => ({}) });
  const agent = await Agent.greet(t, await serve(t, participant.server(new grpc.Server()), {}));
  const peer = participant.client(connect(t, far));
  await pay(peer, {});
  await agent.capture();
  const own = new grpc.Metadata();
  own.set("cutline-call-id", "99");
  await pay(peer, {}, own);
  assert.deepEqual(seen, [
    ["1", "1"],
    ["2", "2"],
  ]);
  assert.deepEqual(own.get("cutline-call-id"), ["99"], "the application's object is left as it was");
});
