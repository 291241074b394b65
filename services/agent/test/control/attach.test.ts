import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AgentMessage } from "@cutline/proto/control";
import { status } from "@grpc/grpc-js";
import { quick, self, testAgent, until } from "./support/agent.ts";
import type { Refusal } from "./support/coordinator.ts";

type Body = NonNullable<AgentMessage["body"]>;

function failure(snapshotId: string, message = "x"): Body {
  const reason = { code: "Test", message, processId: self.processId };
  return { $case: "captureFailed", value: { ref: { snapshotId, attempt: 1 }, reason } };
}

describe("attaching to the coordinator", () => {
  it("says hello, takes the welcome and its directory, and hears what comes", async (t) => {
    const agent = await testAgent(t);
    const { coordinator, client } = agent;
    coordinator.behaviour.onHello = () => ({ term: 7, directory: { version: 3, processes: [] } });
    assert.equal(client.send(failure("early")), "detached");
    await agent.attached();
    const ref = { snapshotId: "s1", attempt: 1 };
    coordinator.say({ $case: "directory", value: { version: 4, processes: [] } });
    coordinator.say({ $case: "start", value: { ref, remainingMs: 1_000, store: true } });
    coordinator.say({ $case: "end", value: { ref, phase: "Completed", reason: "" } });
    await until("the end of s1", () => agent.events.includes("end s1 Completed"));
    assert.deepEqual(agent.events, ["directory 3", "welcome 7", "directory 4", "start s1", "end s1 Completed"]);
    assert.equal(coordinator.hellos[0]?.hello.processId, self.processId);
    assert.equal(coordinator.hellos[0]?.hello.protocolVersion, 1);
    assert.equal(client.send(failure("s1")), "sent");
    await until("the report", () => coordinator.received.length === 1);
    await until("heartbeats", () => coordinator.heartbeatsReceived >= 2);
  });

  it("keeps the old directory when a welcome has none", async (t) => {
    const agent = await testAgent(t);
    await agent.attached();
    assert.deepEqual(agent.events, ["welcome 1"]);
  });

  it("attaches again when the coordinator has gone and come back", async (t) => {
    let snapshotId = "before";
    const hello = () => ({ openSnapshots: [{ snapshotId, attempt: 1 }] });
    const agent = await testAgent(t, {}, { hello });
    const { coordinator, client } = agent;
    await agent.attached();
    coordinator.crash();
    await until("noticed", () => !client.attached);
    assert.equal(client.send(failure("lost")), "detached");
    await until("told", () => agent.events.some((event) => event.startsWith("detached")));
    snapshotId = "after";
    await coordinator.start();
    await until("attached again", () => client.attached);
    assert.equal(coordinator.hellos.at(-1)?.hello.openSnapshots[0]?.snapshotId, "after");
    assert.equal(agent.events.filter((event) => event === "welcome 1").length, 2);
    assert.equal(agent.events.filter((event) => event.startsWith("detached")).length, 1);
  });

  it("gives a silent coordinator up and dials again", async (t) => {
    const agent = await testAgent(t);
    const { coordinator } = agent;
    coordinator.behaviour.heartbeats = false;
    await agent.attached();
    await until("silence noticed", () => agent.events.some((event) => event.startsWith("detached")));
    assert.match(agent.events.find((event) => event.startsWith("detached")) ?? "", /silent for 4 heartbeats of 20 ms/);
    coordinator.behaviour.heartbeats = true;
    await until("attached again", () => coordinator.hellos.length > 1 && agent.client.attached);
  });

  it("gives a coordinator up that takes the connection and says nothing", async (t) => {
    const agent = await testAgent(t, { attachTimeoutMs: 30 });
    const { coordinator } = agent;
    coordinator.behaviour.onHello = () => "silence";
    agent.client.start();
    await until("a second try", () => coordinator.hellos.length >= 2);
    assert.deepEqual(agent.events, [], "it was never attached, so it is not detached");
    coordinator.behaviour.onHello = () => ({});
    await until("attached", () => agent.client.attached);
  });

  it("tries again soon when this replica does not lead", async (t) => {
    const agent = await testAgent(t);
    const answers: (Refusal | Record<string, never>)[] = [{ code: status.UNAVAILABLE, details: "not leading" }];
    agent.coordinator.behaviour.onHello = () => answers.shift() ?? {};
    await agent.attached();
    assert.equal(agent.coordinator.hellos.length, 2);
    assert.equal(agent.client.refusal, undefined);
    assert.deepEqual(agent.events, ["welcome 1"]);
  });

  it("comes back when the coordinator closes the stream politely", async (t) => {
    const agent = await testAgent(t);
    await agent.attached();
    agent.coordinator.closeStreams();
    await until("attached again", () => agent.coordinator.hellos.length === 2 && agent.client.attached);
    assert.deepEqual(agent.events, ["welcome 1", "detached OK: OK", "welcome 1"]);
  });

  it("says once why it was refused, with both versions, and asks again only now and then", async (t) => {
    const agent = await testAgent(t, { retryMaxMs: 80 });
    const { coordinator, client } = agent;
    let version = 2;
    const details = () => `the agent speaks protocol version 1, this coordinator ${version}; upgrade the older one`;
    coordinator.behaviour.onHello = () => ({ code: status.FAILED_PRECONDITION, details: details() });
    client.start();
    await until("refused four times", () => coordinator.hellos.length >= 4);
    const pausesMs = coordinator.hellos.slice(1).map(({ atMs }, i) => atMs - (coordinator.hellos[i]?.atMs ?? 0));
    assert.ok(
      pausesMs.every((pauseMs) => pauseMs >= 35),
      `no busy loop, but pauses of at least half of 80 ms: ${pausesMs}`,
    );
    assert.equal(client.refusal, details());
    const refusals = () => agent.lines.filter(({ message }) => message === "the coordinator refused this agent");
    assert.equal(refusals().length, 1);
    assert.equal(refusals()[0]?.protocolVersion, 1);
    assert.match(String(refusals()[0]?.reason), /version 1, this coordinator 2/);
    version = 3;
    await until("the change is said", () => refusals().length === 2);
    assert.match(String(refusals()[1]?.reason), /version 1, this coordinator 3/);
    coordinator.behaviour.onHello = () => ({});
    await until("attached", () => client.attached);
    assert.equal(client.refusal, undefined);
  });

  it("does not open a stream in a hot loop that is closed as soon as it is open", async (t) => {
    const agent = await testAgent(t, { retryMinMs: 1, retryMaxMs: 2_000 });
    const { coordinator } = agent;
    coordinator.behaviour.onHello = () => {
      setImmediate(() => coordinator.say({ $case: "heartbeat", value: {} }));
      return { heartbeatMs: 0 };
    };
    coordinator.behaviour.heartbeats = false;
    // The smallest heartbeat is 10 ms, so each stream lives for some 50 ms: much shorter than the longest pause,
    // after which a stream counts as one that has worked.
    agent.client.start();
    await until("ten tries", () => coordinator.hellos.length >= 10);
    const last = coordinator.hellos.at(-1)?.atMs ?? 0;
    const before = coordinator.hellos.at(-2)?.atMs ?? 0;
    // The ninth pause is 256 ms, shortened by half at most.
    assert.ok(last - before >= 128, `the pauses grow: ${last - before} ms`);
  });

  it("gives the stream up when too many messages wait for a coordinator that does not read", async (t) => {
    const agent = await testAgent(t, { queuedMessagesMax: 20 });
    agent.coordinator.behaviour.readsMessages = false;
    await agent.attached();
    const text = "x".repeat(64 * 1024);
    let sent = 0;
    while (sent < 10_000 && agent.client.send(failure("big", text)) === "sent") sent += 1;
    assert.ok(sent >= 20 && sent < 200, `${sent} messages were taken`);
    await until("told", () => agent.events.some((event) => /detached .*more than 20 messages wait/.test(event)));
  });

  it("does not come back after leaving", async (t) => {
    const agent = await testAgent(t, { retryMinMs: 1, retryMaxMs: 1 });
    const slower = await testAgent(t, { retryMinMs: 60, retryMaxMs: 60 });
    await Promise.all([agent.attached(), slower.attached()]);
    assert.equal(agent.client.send({ $case: "leaving", value: {} }), "sent");
    await until("left", () => !agent.client.attached);
    slower.coordinator.closeStreams();
    await until("one that did not leave is back", () => slower.coordinator.hellos.length === 2);
    assert.equal(agent.coordinator.hellos.length, 1);
    assert.equal(agent.coordinator.received.at(-1)?.$case, "leaving");
    assert.deepEqual(agent.events, ["welcome 1"], "nor is it a loss");
  });
});

describe("stopping", () => {
  it("sends what was sent before", async (t) => {
    const agent = await testAgent(t);
    await agent.attached();
    for (let i = 0; i < 1_000; i += 1) agent.client.send(failure(`s${i}`));
    await agent.client.stop();
    assert.equal(agent.coordinator.received.length, 1_000);
    assert.equal(agent.client.send(failure("late")), "detached");
    assert.deepEqual(agent.events, ["welcome 1"]);
  });

  it("does not wait for a coordinator that keeps the stream open", async (t) => {
    const agent = await testAgent(t, { stopTimeoutMs: 50 });
    agent.coordinator.behaviour.closesStreams = false;
    await agent.attached();
    const beganAtMs = performance.now();
    await agent.client.stop();
    const tookMs = performance.now() - beganAtMs;
    assert.ok(tookMs >= 45 && tookMs < 2_000, `stopped in ${tookMs} ms`);
  });

  it("is quick where there is no coordinator, and harmless before the start", async (t) => {
    const agent = await testAgent(t, { retryMinMs: quick.retryMinMs, retryMaxMs: 60_000 });
    agent.coordinator.crash();
    await agent.client.stop();
    const other = await testAgent(t, { retryMinMs: 60_000, retryMaxMs: 60_000 });
    other.coordinator.crash();
    other.client.start();
    await until("a failed try", () =>
      other.lines.some(({ message }) => message === "the coordinator cannot be reached"),
    );
    const beganAtMs = performance.now();
    await other.client.stop();
    assert.ok(performance.now() - beganAtMs < 2_000);
  });
});
