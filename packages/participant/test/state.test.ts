import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import * as grpc from "@grpc/grpc-js";
import { createParticipant, type ParticipantOptions } from "../src/index.ts";
import { Agent, connect, gate, nextTurn, pay, serve, until, withId } from "./kit.ts";

async function agentOf(t: Parameters<typeof serve>[0], state: () => unknown, contentType?: string) {
  const options = { state: state as ParticipantOptions["state"], ...(contentType !== undefined && { contentType }) };
  const participant = createParticipant(options);
  const here = await serve(t, participant.server(new grpc.Server()), { pay: (_call, callback) => callback(null, {}) });
  return { agent: await Agent.greet(t, here), here, participant };
}

test("JSON, strings, bytes and chunks arrive whole, in pieces of at most 256 KiB, with size and hash", async (t) => {
  const long = "é".repeat(400_000);
  const values: [unknown, string, string][] = [
    [{ a: [1] }, '{"a":[1]}', "application/json"],
    [["x", 1], '["x",1]', "application/json"],
    ["plain", "plain", "application/json"],
    [Uint8Array.from([104, 105]), "hi", "application/octet-stream"],
    [[long].values(), long, "application/octet-stream"],
    [
      (async function* () {
        yield "one,";
        await nextTurn();
        yield Buffer.from("two");
      })(),
      "one,two",
      "application/octet-stream",
    ],
  ];
  let value: unknown;
  const { agent } = await agentOf(t, () => value);
  for (const [returned, text, contentType] of values) {
    value = returned;
    const taken = await agent.capture();
    assert.equal(taken.state, text);
    assert.equal(taken.point.contentType, contentType);
    assert.equal(taken.sizeBytes, Buffer.byteLength(text));
    assert.equal(taken.sha256, createHash("sha256").update(text).digest("hex"));
    assert.ok(taken.chunkBytes.every((bytes) => bytes <= 256 * 1024));
  }
  const named = await agentOf(t, () => "id;name", "text/csv");
  assert.equal((await named.agent.capture()).point.contentType, "text/csv");
});

test("the point is with the agent before the first byte of the state is made", async (t) => {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  let seen: string | undefined;
  const { here } = await agentOf(t, () =>
    (function* () {
      // This thread stands still, and the agent has the point nevertheless.
      seen = Atomics.wait(flag, 0, 0, 10_000);
      yield "state";
    })(),
  );
  const reader = new Worker(new URL("./point-reader.ts", import.meta.url), { workerData: { address: here, flag } });
  t.after(() => reader.terminate());
  await once(reader, "message");
  assert.notEqual(seen, "timed-out");
  assert.equal(flag[0], 1);
});

test("bytes are copied at the instant, so later changes do not reach the picture", async (t) => {
  const bytes = Buffer.from("before");
  const { agent } = await agentOf(t, () => {
    setImmediate(() => bytes.fill("!"));
    return bytes;
  });
  assert.equal((await agent.capture()).state, "before");
});

test("a state that cannot be taken ends the capture with its reason, and nothing else", async (t) => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const refusals: [() => unknown, RegExp][] = [
    [
      () => {
        throw new Error("ledger locked");
      },
      /^StateFailed: state\(\) threw: ledger locked/,
    ],
    [() => Promise.resolve({}), /^StateNotSynchronous: /],
    [() => Promise.reject(new Error("unheard")), /^StateNotSynchronous: /],
    [() => circular, /^StateNotSerialisable: .*circular/i],
    [() => ({ balance: 1n }), /^StateNotSerialisable: /],
    [() => ({ balances: new Map([["a", 1]]) }), /^StateNotSerialisable: .*a Map at "balances"/],
    [() => new Set([1]), /^StateNotSerialisable: .*a Set at the state itself/],
    [() => ({ balance: Number.NaN }), /^StateNotSerialisable: .*NaN at "balance"/],
    [() => undefined, /^StateNotSerialisable: /],
    [() => [1, 2].values(), /^StateNotSerialisable: .*chunks must be/],
    [
      async function* () {
        yield "a";
        throw new Error("disk gone");
      },
      /^StateFailed: the state's iterable threw: disk gone/,
    ],
  ];
  let state: () => unknown = () => ({});
  const { agent, here } = await agentOf(t, () => state());
  const client = connect(t, here);
  for (const [bad, details] of refusals) {
    state = bad;
    await assert.rejects(agent.capture(), (error: grpc.ServiceError) => {
      assert.equal(error.code, grpc.status.INTERNAL);
      assert.match(error.details, details);
      return true;
    });
    await pay(client, {});
  }
  state = () => ({ fine: true });
  assert.equal((await agent.capture()).state, '{"fine":true}');
});

test("a state over the limit is refused with both numbers, known beforehand or not", async (t) => {
  let state: () => unknown = () => "x".repeat(1_000);
  const { agent } = await agentOf(t, () => state());
  const tooLarge = {
    code: grpc.status.RESOURCE_EXHAUSTED,
    details: /^StateTooLarge: .*at least 1000 bytes, the limit is 999/,
  };
  await assert.rejects(agent.capture({ stateBytesMax: 999 }), tooLarge);
  state = function* () {
    yield "x".repeat(600);
    yield "x".repeat(400);
    throw new Error("must not be read any more");
  };
  await assert.rejects(agent.capture({ stateBytesMax: 999 }), tooLarge);
  state = () => "x".repeat(999);
  assert.equal((await agent.capture({ stateBytesMax: 999 })).sizeBytes, 999);
});

test("state streams while traffic flows and the next capture is taken; a cancelled capture stops it", async (t) => {
  const more = gate();
  let closed = false;
  let mode: "slow" | "plain" = "slow";
  const { agent, here } = await agentOf(t, () =>
    mode === "plain"
      ? "next"
      : (async function* () {
          try {
            yield "first";
            await more.promise;
            yield "second";
          } finally {
            closed = true;
          }
        })(),
  );
  const call = agent.client.capture({ snapshotId: "s", attempt: 1, deadlineMs: 1_000, stateBytesMax: 0 });
  const kinds: string[] = [];
  call.on("data", ({ body }) => kinds.push(body?.$case ?? ""));
  const cancelled = new Promise((resolve) => call.on("error", resolve));
  await until(() => kinds.length === 2);
  await pay(connect(t, here), {}, withId(1));
  mode = "plain";
  const next = await agent.capture();
  assert.deepEqual([next.state, next.point.epoch, next.point.incomingBegun.through], ["next", 2, 1]);
  call.cancel();
  assert.equal(((await cancelled) as grpc.ServiceError).code, grpc.status.CANCELLED);
  await agent.hello(1, "one");
  more.resolve();
  await until(() => closed);
  assert.deepEqual(kinds, ["point", "stateChunk"]);
});

test("a cancelled capture that still waits lets its sections go on", async (t) => {
  const { agent, here, participant } = await agentOf(t, () => "");
  const hold = gate();
  const held = participant.atomic(() => hold.promise);
  const call = agent.client.capture({ snapshotId: "s", attempt: 1, deadlineMs: 60_000, stateBytesMax: 0 });
  const ended = new Promise((resolve) => call.on("error", resolve));
  await agent.hello(1, "one");
  const waiting = pay(connect(t, here), {});
  call.cancel();
  await Promise.all([ended, waiting]);
  hold.resolve();
  await held;
});

test("captures beyond the queue are refused", async (t) => {
  const { agent, participant } = await agentOf(t, () => "");
  const hold = gate();
  const held = participant.atomic(() => hold.promise);
  const captures = Array.from({ length: 17 }, () =>
    agent.capture().then(
      () => "taken",
      (error) => error.details as string,
    ),
  );
  const refused = await Promise.race(captures);
  assert.match(refused, /^CaptureQueueFull: 16 captures/);
  hold.resolve();
  await held;
  assert.equal((await Promise.all(captures)).filter((outcome) => outcome === "taken").length, 16);
});

test("hello: instance, epoch and SDK; another version is refused; a new incarnation begins a new set of calls", async (t) => {
  const { agent, here } = await agentOf(t, () => "");
  const hello = await agent.hello(1, "one");
  const { name, version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(hello.sdk, `${name}/${version}`);
  assert.match(hello.instance, /^[0-9a-f-]{36}$/);
  assert.equal(hello.epoch, 1);
  await assert.rejects(agent.hello(1, "one", 2), {
    code: grpc.status.FAILED_PRECONDITION,
    details: /^ProtocolVersionMismatch: the agent speaks version 2 .* speaks 1/,
  });
  const client = connect(t, here);
  await pay(client, {}, withId(1));
  await pay(client, {}, withId(2));
  await pay(client, {}, withId(2 ** 32 + 1));
  await pay(client, {});
  const again = await agent.hello(1, "one");
  assert.equal(again.instance, hello.instance);
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 1, through: 2, also: [] });
  await agent.hello(2 ** 33, "two");
  assert.deepEqual((await agent.capture()).point.incomingBegun, { first: 2 ** 33, through: 2 ** 33 - 1, also: [] });
});
