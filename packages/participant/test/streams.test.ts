import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { test } from "node:test";
import type { CallPosition } from "@cutline/proto/participant";
import * as grpc from "@grpc/grpc-js";
import { createParticipant } from "../src/index.ts";
import { Agent, connect, gate, type Note, nextTurn, serve, statusOf, until, withId } from "./kit.ts";

function brief(positions: readonly CallPosition[]) {
  return positions.map(
    ({ callId, headersReceived, messagesReceived, endReceived, headersSent, messagesSent, endSent }) => ({
      id: callId,
      received: [headersReceived, messagesReceived, endReceived],
      sent: [headersSent, messagesSent, endSent],
    }),
  );
}

test("client streaming: what sits in the buffer of a paused stream is not received", async (t) => {
  const got: number[] = [];
  let served: grpc.ServerReadableStream<Note, Note> | undefined;
  const participant = createParticipant({ state: () => ({ got }) });
  const here = await serve(t, participant.server(new grpc.Server()), {
    collect(call, callback) {
      served = call;
      call.on("data", ({ amount }: Note) => {
        got.push(amount ?? 0);
        if (got.length === 2) call.pause();
      });
      call.on("end", () => callback(null, { amount: got.length }));
    },
  });
  const agent = await Agent.greet(t, here);
  const answered = gate<Note>();
  const call = connect(t, here).collect(withId(1), (_error, note) => answered.resolve(note));
  for (const amount of [1, 2, 3, 4, 5]) call.write({ amount });
  call.end();
  await until(() => (served?.readableLength ?? 0) > 0);
  const { point, state } = await agent.capture();
  assert.deepEqual(JSON.parse(state), { got: [1, 2] });
  assert.deepEqual(brief(point.incomingOpen), [{ id: 1, received: [true, 2, false], sent: [false, 0, false] }]);
  served?.resume();
  assert.deepEqual(await answered.promise, { amount: 5 });
  const after = await agent.capture();
  assert.deepEqual(after.point.incomingOpen, []);
});

test("for await over a request stream: each body is a section, and a message in no body is not received", async (t) => {
  const bodies = new Map([
    [1, gate()],
    [2, gate()],
  ]);
  const state = { begun: 0, done: 0 };
  const participant = createParticipant({ state: () => state });
  const here = await serve(t, participant.server(new grpc.Server()), {
    async collect(call, callback) {
      for await (const { amount } of call as AsyncIterable<Note>) {
        state.begun += 1;
        await bodies.get(amount ?? 0)?.promise;
        state.done += 1;
      }
      await nextTurn();
      callback(null, { amount: state.done });
    },
  });
  const agent = await Agent.greet(t, here);
  const answered = gate<Note>();
  const call = connect(t, here).collect(withId(1), (_error, note) => answered.resolve(note));
  call.write({ amount: 1 });
  call.write({ amount: 2 });
  await until(() => state.begun === 1);
  const first = agent.capture();
  await agent.hello(1, "one");
  bodies.get(1)?.resolve();
  const { point, state: taken } = await first;
  assert.deepEqual(JSON.parse(taken), { begun: 1, done: 1 });
  assert.deepEqual(brief(point.incomingOpen), [{ id: 1, received: [true, 1, false], sent: [false, 0, false] }]);
  bodies.get(2)?.resolve();
  await until(() => state.done === 2);
  // The loop waits for a third message, and that holds nothing up.
  assert.deepEqual(brief((await agent.capture()).point.incomingOpen), [
    { id: 1, received: [true, 2, false], sent: [false, 0, false] },
  ]);
  call.end();
  assert.deepEqual(await answered.promise, { amount: 2 });
});

test("server streaming: headers, messages and end count when the handler sends them", async (t) => {
  let served: grpc.ServerWritableStream<Note, Note> | undefined;
  const participant = createParticipant({ state: () => ({}) });
  const here = await serve(t, participant.server(new grpc.Server()), {
    list(call) {
      served = call;
    },
  });
  const agent = await Agent.greet(t, here);
  const client = connect(t, here);
  const received: Note[] = [];
  const call = client.list({}, withId(4)).on("data", (note: Note) => received.push(note));
  await until(() => served !== undefined);
  const position = async () => brief((await agent.capture()).point.incomingOpen)[0]?.sent;
  assert.deepEqual(await position(), [false, 0, false]);
  served?.sendMetadata(new grpc.Metadata());
  assert.deepEqual(await position(), [true, 0, false]);
  served?.write({ amount: 1 });
  served?.write({ amount: 2 });
  assert.deepEqual(await position(), [true, 2, false]);
  const ended = once(call, "end");
  served?.end();
  const { point } = await agent.capture();
  assert.deepEqual([point.incomingOpen, point.incomingBegun], [[], { first: 1, through: 0, also: [4] }]);
  await ended;
  assert.equal(received.length, 2);
});

test("outgoing streams: sent and received messages, headers and ends of every kind", async (t) => {
  let collecting: grpc.sendUnaryData<Note> | undefined;
  let listing: grpc.ServerWritableStream<Note, Note> | undefined;
  let chatting: grpc.ServerDuplexStream<Note, Note> | undefined;
  const far = await serve(t, new grpc.Server(), {
    collect: (call, callback) => {
      call.resume();
      collecting = callback;
    },
    list: (call) => {
      listing = call;
      for (const amount of [1, 2, 3]) call.write({ amount });
    },
    chat: (call) => {
      chatting = call;
      call.on("data", (note: Note) => call.write(note));
    },
  });
  const participant = createParticipant({ state: () => ({}) });
  const agent = await Agent.greet(t, await serve(t, participant.server(new grpc.Server()), {}));
  const peer = participant.client(connect(t, far));
  const answered = gate<Note>();
  const collect = peer.collect((_error, note) => answered.resolve(note));
  collect.write({ amount: 1 });
  const list = peer.list({});
  const chat = peer.chat();
  chat.write({ amount: 1 });
  chat.write({ amount: 2 });
  const chatted: Note[] = [];
  chat.on("data", (note: Note) => chatted.push(note));
  await until(() => chatted.length === 2 && listing !== undefined && collecting !== undefined);
  assert.deepEqual(brief((await agent.capture()).point.outgoingOpen), [
    { id: 1, received: [false, 0, false], sent: [true, 1, false] },
    { id: 2, received: [true, 0, false], sent: [true, 1, true] },
    { id: 3, received: [true, 2, false], sent: [true, 2, false] },
  ]);
  collect.end({ amount: 2 });
  chat.end();
  // One message read by hand, the others stay in the buffer.
  list.read(0);
  await until(() => list.readableLength > 0);
  list.read();
  assert.deepEqual(brief((await agent.capture()).point.outgoingOpen), [
    { id: 1, received: [false, 0, false], sent: [true, 2, true] },
    { id: 2, received: [true, 1, false], sent: [true, 1, true] },
    { id: 3, received: [true, 2, false], sent: [true, 2, true] },
  ]);
  collecting?.(null, { amount: 9 });
  assert.deepEqual(await answered.promise, { amount: 9 });
  const chatEnd = once(chat, "end");
  chatting?.end();
  await chatEnd;
  const status = once(list, "status");
  listing?.end();
  list.resume();
  await Promise.all([status, once(list, "end")]);
  await until(() => chat.destroyed);
  assert.deepEqual((await agent.capture()).point.outgoingOpen, []);
});

test("a stream whose status has come stays open until its last message is read", async (t) => {
  const far = await serve(t, new grpc.Server(), {
    list: (call) => {
      for (const amount of [1, 2]) call.write({ amount });
      call.end();
    },
  });
  const participant = createParticipant({ state: () => ({}) });
  const agent = await Agent.greet(t, await serve(t, participant.server(new grpc.Server()), {}));
  const list = participant.client(connect(t, far)).list({});
  const status = once(list, "status");
  list.read(0);
  await status;
  assert.equal(list.readableLength, 2);
  assert.deepEqual(brief((await agent.capture()).point.outgoingOpen), [
    { id: 1, received: [true, 0, false], sent: [true, 1, true] },
  ]);
  const got: Note[] = [];
  for await (const note of list as AsyncIterable<Note>) got.push(note);
  assert.deepEqual(got, [{ amount: 1 }, { amount: 2 }]);
  assert.deepEqual((await agent.capture()).point.outgoingOpen, []);
});

test("for await over an answer inside a handler: held in each body, never while it waits for the next message", async (t) => {
  let listing: grpc.ServerWritableStream<Note, Note> | undefined;
  const far = await serve(t, new grpc.Server(), {
    list: (call) => {
      listing = call;
      call.write({ amount: 1 });
    },
  });
  const state = { begun: 0, done: 0 };
  const body = gate();
  const participant = createParticipant({ state: () => state });
  const peer = participant.client(connect(t, far));
  const here = await serve(t, participant.server(new grpc.Server()), {
    async pay(_call, callback) {
      for await (const _ of peer.list({})) {
        state.begun += 1;
        await body.promise;
        state.done += 1;
      }
      callback(null, {});
    },
  });
  const agent = await Agent.greet(t, here);
  const answered = gate();
  connect(t, here).pay({}, withId(1), () => answered.resolve());
  await until(() => state.begun === 1);
  const capture = agent.capture();
  await agent.hello(1, "one");
  body.resolve();
  const { state: taken, point } = await capture;
  assert.deepEqual(JSON.parse(taken), { begun: 1, done: 1 });
  assert.deepEqual([point.incomingOpen[0]?.waitsFor, point.outgoingOpen[0]?.messagesReceived], [[1], 1]);
  listing?.end();
  await answered.promise;
  assert.deepEqual((await agent.capture()).point.outgoingOpen, []);
});

test("a loop that waits for room to write does not hold the capture up", async (t) => {
  let waiting = false;
  const participant = createParticipant({ state: () => ({}) });
  const big = "x".repeat(64 * 1024);
  const here = await serve(t, participant.server(new grpc.Server()), {
    async chat(call) {
      for await (const _ of call as AsyncIterable<Note>) {
        for (let sent = 0; sent < 64; sent += 1) {
          if (call.write({ text: big })) continue;
          const room = once(call, "drain");
          waiting = true;
          await room;
          waiting = false;
        }
      }
      call.end();
    },
  });
  const agent = await Agent.greet(t, here);
  // A bare HTTP/2 client, because that of grpc-js reads on when nobody reads from it: nothing drains before it reads.
  const session = connectHttp2(`http://${here}`);
  t.after(() => session.destroy());
  const headers = { ":method": "POST", ":path": "/test.Bank/Chat", te: "trailers", "content-type": "application/grpc" };
  const request = session.request({ ...headers, "cutline-call-id": "1" });
  request.end(Buffer.from([0, 0, 0, 0, 2, ...Buffer.from("{}")]));
  await until(() => waiting);
  const { point } = await agent.capture();
  const sent = point.incomingOpen[0]?.messagesSent ?? 0;
  assert.ok(waiting && sent > 0 && sent < 64);
  let receivedBytes = 0;
  request.on("data", (bytes: Buffer) => {
    receivedBytes += bytes.byteLength;
  });
  await once(request, "end");
  assert.ok(receivedBytes > 64 * big.length);
});

test("streaming handlers with timers hold nothing up, and their atomic parts are whole", async (t) => {
  const state = { sent: 0, counted: 0 };
  const participant = createParticipant({ state: () => state });
  const here = await serve(t, participant.server(new grpc.Server()), {
    async list(call) {
      while (!call.cancelled) {
        await nextTurn();
        await participant.atomic(async () => {
          state.sent += 1;
          await nextTurn();
          call.write({ amount: state.sent });
          state.counted += 1;
        });
      }
    },
  });
  const agent = await Agent.greet(t, here);
  const call = connect(t, here).list({}, withId(1));
  call.on("error", () => undefined);
  call.resume();
  await until(() => state.sent > 2);
  for (let round = 0; round < 5; round += 1) {
    const { point, state: taken } = await agent.capture();
    const { sent, counted } = JSON.parse(taken);
    assert.equal(sent, counted);
    assert.equal(point.incomingOpen[0]?.messagesSent, sent);
  }
  const status = statusOf(call);
  call.cancel();
  assert.equal((await status).code, grpc.status.CANCELLED);
});

test("receipts: ended calls and counts of open streams, cumulative, and told anew to a new stream", async (t) => {
  let chatting: grpc.ServerDuplexStream<Note, Note> | undefined;
  const far = await serve(t, new grpc.Server(), {
    pay: (_call, callback) => callback(null, {}),
    chat: (call) => {
      chatting = call;
      call.resume();
    },
  });
  const participant = createParticipant({ state: () => ({}), receiptIntervalMs: 5 });
  const here = await serve(t, participant.server(new grpc.Server()), {
    collect: (call) => {
      call.resume();
    },
  });
  const agent = await Agent.greet(t, here);
  const peer = participant.client(connect(t, far));
  const listen = () => {
    const ended = new Set<number>();
    const counts = new Map<string, number>();
    const call = agent.client.receipts({});
    call.on("error", () => undefined);
    call.on("data", ({ calls, outgoingEnded }) => {
      for (const each of calls) counts.set(`${each.outgoing ? "out" : "in"} ${each.callId}`, each.messagesReceived);
      if (outgoingEnded === undefined) return;
      for (let id = outgoingEnded.first; id <= outgoingEnded.through; id += 1) ended.add(id);
      for (const id of outgoingEnded.also) ended.add(id);
    });
    return { call, ended, counts };
  };
  const first = listen();
  const chat = peer.chat();
  chat.resume();
  for (let calls = 0; calls < 600; calls += 1) peer.pay({}, () => undefined);
  const collect = connect(t, here).collect(withId(7), () => undefined);
  for (const amount of [1, 2, 3]) collect.write({ amount });
  await until(() => first.ended.size === 600);
  await until(() => chatting !== undefined);
  for (const amount of [1, 2]) chatting?.write({ amount });
  await until(() => first.counts.get("out 1") === 2 && first.counts.get("in 7") === 3);
  assert.equal(first.ended.has(1), false, "the stream is still open");
  const second = listen();
  await until(() => second.ended.size === 600 && second.counts.size === 2);
  first.call.cancel();
  second.call.cancel();
  chatting?.end();
  await once(chat, "end");
  collect.cancel();
});
