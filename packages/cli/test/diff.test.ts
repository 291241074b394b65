import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { compareJson } from "../src/diff/json-paths.ts";
import { FakeCoordinator } from "./support/coordinator.ts";
import { completed, type Loose } from "./support/fixtures.ts";
import { run } from "./support/run.ts";

describe("two JSON documents", () => {
  const paths = (before: unknown, after: unknown) => compareJson(before, after, 100).differences;

  it("differ in the places that differ, named by their paths", () => {
    const before = { a: 1, list: [1, 2, { x: true }], "first name": "Ada", gone: null, same: { deep: ["x"] } };
    const after = { a: 2, list: [1, 3, { x: true }, 4], "first name": "Eve", came: null, same: { deep: ["x"] } };
    assert.deepEqual(paths(before, after), [
      { path: "$.a", before: 1, after: 2 },
      { path: "$.list[1]", before: 2, after: 3 },
      { path: "$.list[3]", after: 4 },
      { path: '$["first name"]', before: "Ada", after: "Eve" },
      { path: "$.gone", before: null },
      { path: "$.came", after: null },
    ]);
  });

  it("differ as a whole where one is a list and the other is not", () => {
    assert.deepEqual(paths([1], { 0: 1 }), [{ path: "$", before: [1], after: { 0: 1 } }]);
    assert.deepEqual(paths(null, {}), [{ path: "$", before: null, after: {} }]);
    assert.deepEqual(paths({ constructor: 1 }, {}), [{ path: "$.constructor", before: 1 }]);
  });

  it("are compared as deep as they are, and no further than asked", () => {
    const deep = (value: unknown) => {
      let nested: Loose = value;
      for (let level = 0; level < 100_000; level += 1) nested = [nested];
      return nested;
    };
    const [one] = paths(deep(1), deep(2));
    assert.deepEqual([one?.before, one?.after], [1, 2]);
    const many = Array.from({ length: 50 }, (_, at) => at);
    const { differences, more } = compareJson(
      many,
      many.map((value) => value + 1),
      3,
    );
    assert.deepEqual([differences.length, more], [3, true]);
    assert.deepEqual(compareJson(many, many, 3), { differences: [], more: false });
  });
});

describe("cutline diff", () => {
  let coordinator: FakeCoordinator;

  beforeEach(async () => {
    coordinator = await FakeCoordinator.start();
    coordinator.add();
  });
  afterEach(() => coordinator[Symbol.asyncDispose]());

  const diff = (...args: string[]) => run(["diff", ...args], { server: coordinator.url });
  const addOther = (change: (snapshot: Loose) => void) => {
    const other = { ...completed(), id: "s-0002" };
    change(other);
    coordinator.add(other);
  };

  it("ends with exit code 0 where nothing differs", async () => {
    addOther(() => {});
    const { exitCode, stdout } = await diff("s-0001", "s-0002");
    assert.deepEqual([exitCode, stdout], [0, "s-0001 -> s-0002, 0s apart\nno difference\n"]);
  });

  it("tells processes, states by path, channels and messages in flight", async () => {
    const [north, south] = completed().processes;
    addOther((other) => {
      other.processes = [
        { ...north, stateSha256: "0".repeat(64), stateBytes: "99" },
        { ...north, id: "bank/east" },
      ];
      other.channels = completed().channels.slice(0, 1);
      other.progress.inFlightMessages = "7";
      other.exact = false;
      other.endedAt = "2026-03-01T12:01:01.200Z";
    });
    const states = [
      { balance: 70, name: "north" },
      { balance: 75, name: "north" },
    ];
    coordinator.localState = () => JSON.stringify(states.shift());
    const { exitCode, stdout, stderr } = await diff("s-0001", "s-0002");
    assert.equal(exitCode, 1, stderr);
    assert.match(stdout, /^s-0001 -> s-0002, 60s apart\n\nExact: yes -> no\n/);
    assert.match(stdout, /^bank\/east +only in the later one +-$/m);
    assert.match(stdout, /^bank\/north +other state +\d+ B -> 99 B$/m);
    assert.match(stdout, /^bank\/south +only in the earlier one +-$/m);
    assert.match(stdout, /State of bank\/north:\n {2}\$\.balance\n {2}- 70\n {2}\+ 75\n/);
    assert.match(stdout, /^bank\/south +bank\/north +1 -> - +\d+ -> -$/m);
    assert.match(stdout, /In flight: 2 messages -> 7\n$/);
    assert.equal(south.id, "bank/south");
  });

  it("looks into no state that it was not asked to, that is not JSON, or too large", async () => {
    const changed = (more: Loose) => (other: Loose) => {
      const [north, south] = other.processes;
      other.processes = [{ ...north, stateSha256: "0".repeat(64), ...more }, south];
    };
    addOther(changed({ contentType: "text/plain" }));
    const json = async (...args: string[]) =>
      JSON.parse((await diff("s-0001", "s-0002", "-o", "json", ...args)).stdout);
    assert.equal((await json("--no-states")).processes[0].notCompared, undefined);
    assert.deepEqual(
      coordinator.asked.filter(({ url }) => url.includes("/processes/")),
      [],
    );
    assert.match((await json()).processes[0].notCompared, /only JSON is looked into/);
    addOther(changed({ stateBytes: String(17 * 1024 ** 2) }));
    assert.match((await json()).processes[0].notCompared, /17 MiB are more than the 16 MiB/);
    addOther(changed({}));
    assert.match((await json()).processes[0].notCompared, /says that it is JSON, and is none/);
  });

  it("compares Completed snapshots alone", async () => {
    addOther((other) => {
      other.phase = "Failed";
    });
    const { exitCode, stderr } = await diff("s-0001", "s-0002");
    assert.deepEqual([exitCode, /s-0002 is Failed, so it has no global state to compare/.test(stderr)], [5, true]);
    assert.equal((await diff("s-0001", "s-none")).exitCode, 3);
  });
});
