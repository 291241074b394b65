import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SnapshotRef } from "@cutline/protocol";
import { createLogger } from "@cutline/runtime";
import { Capturer } from "../../src/capture/capturer.ts";
import type { Commit } from "../../src/capture/cutter.ts";
import { CaptureError } from "../../src/capture/errors.ts";
import type { CaptureResult } from "../../src/capture/result.ts";
import { createSpool, type Spool } from "../../src/capture/spool.ts";
import type { Driver } from "../../src/driver.ts";
import { until } from "./support/world.ts";

const timeout = 10_000;

/** A driver's side of captures, which remembers what it was told. */
function standInDriver() {
  const told: string[] = [];
  const running = new Set<string>();
  let onCaptured: (ref: SnapshotRef) => void = () => {};
  const driver = {
    isRunning: ({ snapshotId }: SnapshotRef) => running.has(snapshotId),
    captured(ref: SnapshotRef) {
      onCaptured(ref);
      told.push(`captured ${ref.snapshotId}`);
    },
    captureFailed({ snapshotId }: SnapshotRef, code: string) {
      told.push(`failed ${snapshotId} ${code}`);
    },
  };
  return {
    told,
    running,
    driver: driver as unknown as Driver,
    onCaptured(then: (ref: SnapshotRef) => void) {
      onCaptured = then;
    },
  };
}

async function emptySpool(): Promise<Spool> {
  const spool = createSpool({ memoryBytesMax: 0, bytesMax: 10 });
  await spool.end();
  return spool;
}

function resultOf(bytes: Promise<Spool> = emptySpool()): CaptureResult {
  return {
    exact: true,
    reasons: [],
    pauseUs: 0,
    lockWaitUs: 0,
    epoch: 1,
    outboxes: new Map(),
    callsInProcess: [],
    state: { contentType: "text/plain", bytes },
  };
}

type Cut = (ref: SnapshotRef, commit: Commit, signal: AbortSignal) => Promise<void>;

function capturerWith(cut: Cut, waitingMax = 4) {
  const world = standInDriver();
  let flows = 0;
  const capturer = new Capturer({
    cutter: { cut },
    driver: () => world.driver,
    waitingMax,
    onTrafficFlows: () => {
      flows += 1;
    },
    logger: createLogger({ service: "agent", level: "silent" }),
  });
  const request = (snapshotId: string) => {
    world.running.add(snapshotId);
    capturer.request({ snapshotId, attempt: 1 }, "start");
  };
  return { ...world, capturer, request, flows: () => flows };
}

const refOf = (snapshotId: string): SnapshotRef => ({ snapshotId, attempt: 1 });

describe("the capturer", () => {
  it("makes captures one after the other, and lets traffic flow between them", { timeout }, async () => {
    let atOnce = 0;
    const { told, request, capturer, onCaptured, flows } = capturerWith(async (_ref, commit) => {
      atOnce += 1;
      assert.equal(atOnce, 1);
      await new Promise((resolve) => setImmediate(resolve));
      commit(resultOf());
      atOnce -= 1;
    });
    onCaptured((ref) => void capturer.takeResult(ref).state.bytes.then((spool) => spool.discard()));
    for (const id of ["a", "b", "c"]) request(id);
    await until("all are made", () => told.length === 3);
    assert.deepEqual(told, ["captured a", "captured b", "captured c"]);
    await until("traffic flows", () => flows() === 3);
  });

  it("makes a capture that is asked for in the very moment in which the one before is done", { timeout }, async () => {
    for (let turns = 0; turns < 12; turns += 1) {
      const { told, request, capturer, onCaptured } = capturerWith(async (_ref, commit) => commit(resultOf()));
      onCaptured((ref) => void capturer.takeResult(ref).state.bytes.then((spool) => spool.discard()));
      request("first");
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      request("second");
      await until(`the second is made, ${turns} turns after the first was asked for`, () => told.length === 2, 1_000);
    }
  });

  it("refuses what is too much, and makes the others", { timeout }, async () => {
    const { told, request, capturer, onCaptured } = capturerWith(async (_ref, commit) => commit(resultOf()), 2);
    onCaptured((ref) => void capturer.takeResult(ref).state.bytes.then((spool) => spool.discard()));
    for (const id of ["a", "b", "c"]) request(id);
    await until("all are answered", () => told.length === 3);
    assert.deepEqual(told.toSorted(), ["captured a", "captured b", "failed c CaptureQueueFull"]);
  });

  it("aborts a capture that nobody wants any more, says nothing of it, and makes the next", { timeout }, async () => {
    let aborted = 0;
    const { told, request, capturer, running, onCaptured } = capturerWith((ref, commit, signal) => {
      if (ref.snapshotId !== "unwanted") return Promise.resolve(commit(resultOf()));
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted += 1;
          reject(new CaptureError("CaptureAborted", "given up"));
        });
      });
    });
    onCaptured((ref) => void capturer.takeResult(ref).state.bytes.then((spool) => spool.discard()));
    request("unwanted");
    request("wanted");
    await new Promise((resolve) => setImmediate(resolve));
    running.delete("unwanted");
    capturer.forget(refOf("unwanted"));
    await until("the next is made", () => told.length === 1);
    assert.deepEqual([told, aborted], [["captured wanted"], 1]);
  });

  it("drops the state of a capture whose snapshot has ended meanwhile", { timeout }, async () => {
    const spool = emptySpool();
    const { told, request, running } = capturerWith(async (ref, commit) => {
      running.delete(ref.snapshotId);
      commit(resultOf(spool));
    });
    request("late");
    await until("it is answered", () => told.length === 1);
    assert.deepEqual(told, ["failed late CaptureAborted"]);
    const dropped = async () => {
      for await (const _chunk of (await spool).stream()) assert.fail("there is nothing");
    };
    await assert.rejects(dropped(), { code: "CaptureAborted" });
  });

  it("says that the capture failed when the protocol finds that the numbers do not add up", { timeout }, async () => {
    const { told, request, onCaptured } = capturerWith(async (_ref, commit) => commit(resultOf()));
    onCaptured(() => {
      throw new Error("the numbers do not add up");
    });
    request("wrong");
    request("also wrong");
    await until("both are answered", () => told.length === 2);
    assert.deepEqual(told, ["failed wrong CaptureFailed", "failed also wrong CaptureFailed"]);
  });

  it("takes a state that does not come in for no failure of its own", { timeout }, async () => {
    const broken = Promise.reject(new CaptureError("StateUnreadable", "it broke off"));
    const { told, request, capturer, onCaptured } = capturerWith(async (_ref, commit) => commit(resultOf(broken)));
    onCaptured((ref) => void capturer.takeResult(ref));
    request("broken");
    await until("it is made", () => told.length === 1);
    assert.deepEqual(told, ["captured broken"]);
  });
});
