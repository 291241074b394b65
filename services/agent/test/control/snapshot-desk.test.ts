import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it, type TestContext } from "node:test";
import type { ChannelFacts, CutFacts, SnapshotRef } from "@cutline/protocol";
import { silentLogger } from "@cutline/runtime";
import { status } from "@grpc/grpc-js";
import { CaptureError } from "../../src/capture/errors.ts";
import type { CaptureResult } from "../../src/capture/result.ts";
import { createSpool, type Spool } from "../../src/capture/spool.ts";
import { type ControlLimits, defaultControlLimits } from "../../src/control/limits.ts";
import { SnapshotDesk } from "../../src/control/snapshot-desk.ts";
import { self, type TestAgent, testAgent, until } from "./support/agent.ts";

const ref = { snapshotId: "s1", attempt: 1 };
const incoming = "link-1:1";
const outgoing = "link-1:0";

interface TestDesk extends TestAgent {
  readonly desk: SnapshotDesk;
  readonly givenUp: string[];
  readonly expired: SnapshotRef[];
  /** What the coordinator was told, shortly. */
  told(): string[];
  stored(): string[];
}

async function testDesk(t: TestContext, limits: Partial<ControlLimits> = {}): Promise<TestDesk> {
  const agent = await testAgent(t, limits, {
    onWelcome: () => desk.repeat(),
    hello: () => ({ openSnapshots: desk.openSnapshots() }),
  });
  const givenUp: string[] = [];
  const expired: SnapshotRef[] = [];
  const desk = new SnapshotDesk({
    self,
    client: agent.client,
    environment: () => [{ authority: "rates:443", direction: "outbound", calls: 3, openCalls: 1 }],
    limits: { ...defaultControlLimits, ...limits },
    logger: silentLogger,
    now: () => performance.now(),
    onGivenUp: ({ snapshotId }, code, message) => givenUp.push(`${snapshotId} ${code}: ${message}`),
    onExpired: (one) => expired.push(one),
  });
  const { coordinator } = agent;
  return {
    ...agent,
    desk,
    givenUp,
    expired,
    told: () =>
      coordinator.received.map((body) => {
        if (body.$case === "channel") return `channel ${body.value.channelId}`;
        return body.$case === "captureFailed" ? `failed ${body.value.reason?.code}` : body.$case;
      }),
    stored: () => coordinator.stored.map(({ header: { kind, channelId } }) => `${kind} ${channelId}`.trim()).sort(),
  };
}

async function spoolOf(bytes: Buffer): Promise<Spool> {
  const spool = createSpool({ memoryBytesMax: 64 * 1024, bytesMax: 10_000_000 });
  await spool.write(bytes);
  await spool.end();
  return spool;
}

function cutFacts(of: SnapshotRef = ref): CutFacts {
  const sent = { sentAtCut: 12, markersSent: 2, markersSentSum: 9 };
  return {
    ref: of,
    trigger: "start",
    outgoing: [
      { channel: outgoing, to: "bank/branch-b", ...sent },
      { channel: "link-2:0", to: "bank/branch-c", ...sent },
    ],
    incoming: [incoming],
  };
}

function captured(bytes: Promise<Spool>, rest: Partial<CaptureResult> = {}): CaptureResult {
  return {
    exact: true,
    reasons: [],
    pauseUs: 1_500.4,
    lockWaitUs: 100,
    epoch: 3,
    outboxes: new Map([[outgoing, { encoded: [Buffer.from("o1"), Buffer.from("o2")], messages: 1 }]]),
    callsInProcess: [Buffer.from("c1")],
    state: { contentType: "application/json", bytes },
    ...rest,
  };
}

function channelFacts(of: SnapshotRef = ref): ChannelFacts {
  return {
    ref: of,
    channel: incoming,
    from: "bank/branch-b",
    markerNumber: 9,
    markersReceived: 1,
    markersReceivedSum: 4,
    deliveredAtCut: 5,
    deliveredSum: 15,
    deliveredMax: 5,
    recorded: [{ first: 6, last: 8 }],
    recordedCount: 3,
  };
}

const records = { encoded: [Buffer.from("r1"), Buffer.from("r2"), Buffer.from("r3")], messages: 2 };

async function assertDiscarded(spool: Spool): Promise<void> {
  await assert.rejects(async () => {
    for await (const _ of spool.stream());
  }, /discarded/);
}

describe("what is owed to the coordinator", () => {
  it("reports the cut and its channels, and uploads every part", async (t) => {
    const test = await testDesk(t);
    await test.attached();
    const state = randomBytes(400_000);
    const spool = await spoolOf(state);
    test.desk.begun(ref, true, 10_000);
    assert.deepEqual(test.desk.openSnapshots(), [ref]);
    test.desk.cut(cutFacts(), captured(Promise.resolve(spool)));
    test.desk.channelClosed(channelFacts(), records);
    assert.equal(await test.desk.idle(10_000), "idle");
    assert.deepEqual(test.told(), ["cut", `channel ${incoming}`]);
    const [cut, channel] = test.coordinator.received;
    assert.deepEqual(cut?.value, {
      ref,
      exact: true,
      reasons: [],
      pauseUs: 1_500,
      lockWaitUs: 100,
      epoch: 3,
      outgoing: cutFacts().outgoing.map(({ channel: channelId, ...sent }) => ({
        channelId,
        ...sent,
        outboxCount: channelId === outgoing ? 2 : 0,
        outboxMessages: channelId === outgoing ? 1 : 0,
      })),
      incoming: [incoming],
      environment: [{ authority: "rates:443", direction: "outbound", calls: 3, openCalls: 1 }],
      callsInProcess: 1,
      trigger: "start",
    });
    const { channel: channelId, ...facts } = channelFacts();
    assert.deepEqual(channel?.value, { ...facts, channelId, messages: 2 });
    assert.deepEqual(test.stored(), ["calls", `channel ${incoming}`, "local", `outbox ${outgoing}`]);
    const bytesOf = (kind: string) => test.coordinator.stored.find((one) => one.header.kind === kind);
    assert.ok(bytesOf("local")?.bytes.equals(state));
    assert.deepEqual(bytesOf("local")?.header, {
      ref,
      ...self,
      kind: "local",
      channelId: "",
      contentType: "application/json",
    });
    assert.equal(bytesOf("calls")?.bytes.toString(), "c1");
    assert.equal(bytesOf("outbox")?.bytes.toString(), "o1o2");
    assert.equal(bytesOf("channel")?.bytes.toString(), "r1r2r3");
    await assertDiscarded(spool);
    test.desk.ended(ref);
    assert.deepEqual(test.desk.openSnapshots(), []);
    assert.deepEqual(test.givenUp, []);
  });

  it("says all of it again to a coordinator that comes back, in order, and uploads only what is not stored", async (t) => {
    const test = await testDesk(t);
    const { coordinator, desk } = test;
    coordinator.behaviour.onUpload = ({ ref: of, kind }, tryNumber) =>
      of?.snapshotId === "s1" && kind === "local" && tryNumber === 1 ? "hang" : "store";
    await test.attached();
    desk.cut(cutFacts(), captured(spoolOf(randomBytes(400_000))));
    desk.channelClosed(channelFacts(), records);
    await until("all but the state stored", () => test.stored().length === 3 && coordinator.uploadsOpen === 1);
    await until("reported", () => test.told().length === 2);
    coordinator.crash();
    await until("noticed", () => !test.client.attached);
    const other = { snapshotId: "s2", attempt: 1 };
    desk.cut(cutFacts(other), captured(spoolOf(Buffer.from("{}")), { outboxes: new Map(), callsInProcess: [] }));
    const idle = desk.idle(10_000);
    await coordinator.start();
    assert.equal(await idle, "idle");
    assert.deepEqual(test.told(), ["cut", `channel ${incoming}`, "cut", `channel ${incoming}`, "cut"]);
    assert.deepEqual(coordinator.received[2], coordinator.received[0], "the same every time");
    assert.deepEqual(coordinator.hellos.at(-1)?.hello.openSnapshots, [ref, other]);
    assert.deepEqual(test.stored(), ["calls", `channel ${incoming}`, "local", "local", `outbox ${outgoing}`]);
  });

  it("lets the capture fail when the state does not come in", async (t) => {
    const test = await testDesk(t);
    await test.attached();
    const failed = Promise.reject(new CaptureError("StateTooLarge", "the local state has 11 bytes"));
    test.desk.cut(cutFacts(), captured(failed));
    await until("given up", () => test.givenUp.length === 1);
    assert.deepEqual(test.givenUp, ["s1 StateTooLarge: the local state has 11 bytes"]);
    test.desk.failed(ref, "StateTooLarge", "the local state has 11 bytes");
    test.desk.forget(ref);
    await until("told", () => test.told().includes("failed StateTooLarge"));
    assert.deepEqual(test.desk.openSnapshots(), [ref], "until the coordinator says that the attempt has ended");
    test.coordinator.crash();
    await until("noticed", () => !test.client.attached);
    test.coordinator.received.length = 0;
    await test.coordinator.start();
    await until("told again", () => test.told().length > 0);
    assert.deepEqual(test.told(), ["failed StateTooLarge"], "and nothing of the cut any more");
    test.desk.ended(ref);
    assert.deepEqual(test.desk.openSnapshots(), []);
  });

  it("breaks uploads off and gives everything back when the attempt has ended", async (t) => {
    const test = await testDesk(t);
    test.coordinator.behaviour.onUpload = () => "hang";
    await test.attached();
    const spool = await spoolOf(randomBytes(400_000));
    test.desk.cut(cutFacts(), captured(Promise.resolve(spool)));
    await until("uploads under way", () => test.coordinator.uploadsOpen === 3);
    test.desk.ended(ref);
    await until("broken off", () => test.coordinator.uploadsOpen === 0);
    await assertDiscarded(spool);
    assert.equal(await test.desk.idle(1_000), "idle");
    assert.deepEqual(test.givenUp, []);
  });

  it("gives a state back that comes in after the end", async (t) => {
    const test = await testDesk(t);
    await test.attached();
    const late = Promise.withResolvers<Spool>();
    test.desk.cut(cutFacts(), captured(late.promise));
    test.desk.ended(ref);
    const spool = await spoolOf(Buffer.from("{}"));
    late.resolve(spool);
    await until("uploads ended", () => test.coordinator.uploadsOpen === 0);
    await assertDiscarded(spool);
    assert.ok(!test.stored().includes("local"));
  });

  it("uploads nothing outside of the scope, also when it learns of that late", async (t) => {
    const test = await testDesk(t);
    await test.attached();
    const spool = await spoolOf(Buffer.from("{}"));
    test.desk.begun(ref, false, 10_000);
    test.desk.cut(cutFacts(), captured(Promise.resolve(spool)));
    test.desk.channelClosed(channelFacts(), records);
    assert.equal(await test.desk.idle(1_000), "idle");
    await assertDiscarded(spool);
    const marked = { snapshotId: "s2", attempt: 1 };
    test.coordinator.behaviour.onUpload = () => "hang";
    const other = await spoolOf(randomBytes(400_000));
    test.desk.noticed(marked);
    test.desk.cut(cutFacts(marked), captured(Promise.resolve(other)));
    await until("uploads under way", () => test.coordinator.uploadsOpen === 3);
    test.desk.begun(marked, false, 10_000);
    await until("broken off", () => test.coordinator.uploadsOpen === 0);
    await assertDiscarded(other);
    assert.deepEqual(test.told(), ["cut", `channel ${incoming}`, "cut"]);
    assert.equal(test.coordinator.tries.filter(({ ref: of }) => of?.snapshotId === "s1").length, 0);
    assert.deepEqual(test.desk.openSnapshots(), [ref, marked]);
  });

  it("offers a part again to the next coordinator that this one does not want", async (t) => {
    const test = await testDesk(t);
    const { coordinator, desk } = test;
    coordinator.behaviour.onUpload = () => ({ code: status.FAILED_PRECONDITION, details: "no snapshot s1 runs here" });
    await test.attached();
    desk.cut(cutFacts(), captured(spoolOf(Buffer.from("{}"))));
    assert.equal(await desk.idle(10_000), "idle");
    assert.equal(coordinator.tries.length, 3);
    coordinator.behaviour.onUpload = () => "store";
    coordinator.closeStreams();
    await until("stored", () => test.stored().length === 3);
    assert.deepEqual(test.givenUp, []);
  });

  it("says so, once, when the coordinator has no room for the parts", async (t) => {
    const test = await testDesk(t);
    test.coordinator.behaviour.onUpload = () => ({ code: status.RESOURCE_EXHAUSTED, details: "StoreFull: no space" });
    await test.attached();
    const spool = await spoolOf(Buffer.from("{}"));
    test.desk.cut(cutFacts(), captured(Promise.resolve(spool)));
    assert.equal(await test.desk.idle(10_000), "idle");
    await until("given up", () => test.givenUp.length > 0);
    assert.equal(test.givenUp.length, 1);
    assert.match(
      test.givenUp[0] ?? "",
      /^s1 UploadResourceExhausted: the \w+ part was not stored: StoreFull: no space$/,
    );
    await assertDiscarded(spool);
  });

  it("does not report a channel of which frames are missing", async (t) => {
    const test = await testDesk(t);
    await test.attached();
    test.desk.channelClosed(channelFacts(), { ...records, encoded: records.encoded.slice(1) });
    await until("given up", () => test.givenUp.length === 1);
    assert.match(test.givenUp[0] ?? "", /RecordsIncomplete: channel link-1:1 has 3 frames in flight, and 2 were kept/);
    assert.deepEqual(test.told(), []);
  });

  it("forgets an attempt of which no end is heard", async (t) => {
    const test = await testDesk(t, { forgetAfterMs: 20 });
    test.desk.noticed(ref);
    const long = { snapshotId: "s2", attempt: 1 };
    test.desk.begun(long, true, 2 ** 32 - 1);
    await until("forgotten", () => test.expired.length > 0);
    assert.deepEqual(test.expired, [ref]);
    assert.deepEqual(test.desk.openSnapshots(), [long], "its time is not over");
    test.desk.ended(long);
  });

  it("takes part in a limited number of snapshots", async (t) => {
    const test = await testDesk(t, { snapshotsMax: 1 });
    await test.attached();
    test.desk.noticed(ref);
    const other = { snapshotId: "s2", attempt: 1 };
    const spool = await spoolOf(Buffer.from("{}"));
    test.desk.cut(cutFacts(other), captured(Promise.resolve(spool)));
    assert.deepEqual(test.givenUp, [], "not from inside of the call");
    await until("given up", () => test.givenUp.length === 1);
    assert.deepEqual(test.givenUp, ["s2 TooManySnapshots: this agent takes part in 1 snapshots already"]);
    test.desk.failed(other, "TooManySnapshots", "full");
    await until("told", () => test.told().includes("failed TooManySnapshots"));
    await assertDiscarded(spool);
    test.desk.ended(ref);
  });

  it("waits to be idle for a limited time", async (t) => {
    const test = await testDesk(t);
    assert.equal(await test.desk.idle(0), "idle", "nothing is owed");
    test.desk.cut(cutFacts(), captured(spoolOf(Buffer.from("{}"))));
    assert.equal(await test.desk.idle(20), "timedOut", "there is no coordinator");
    await test.attached();
    assert.equal(await test.desk.idle(10_000), "idle");
  });
});
