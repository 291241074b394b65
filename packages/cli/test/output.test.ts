import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { plain } from "../src/output/palette.ts";
import { formatTable } from "../src/output/table.ts";
import { escapeLine, truncate, widthOf } from "../src/output/text.ts";
import { formatAge, formatBytes, formatDurationUs } from "../src/output/values.ts";
import { FakeCoordinator } from "./support/coordinator.ts";
import { type RunOptions, run } from "./support/run.ts";

/** `node --test --test-update-snapshots` writes the files of golden/ anew; read what changed before you keep it. */
async function isGolden(context: TestContext, name: string, args: readonly string[], options: RunOptions = {}) {
  await using coordinator = await FakeCoordinator.start();
  coordinator.add();
  coordinator.add({
    id: "s-0002",
    phase: "Failed",
    exact: false,
    reason: "ProcessLost",
    message: "the process bank/south vanished in mid-snapshot; see why its pod ended",
    attempt: 2,
    initiator: "",
    labels: {},
    channels: [],
    certificate: { verdict: "", channels: 0, violations: [], digest: "" },
    earlierAttempts: [
      {
        attempt: 1,
        reason: "DeadlineExceeded",
        message: "bank/north did not cut",
        endedAt: "2026-03-01T12:00:31.000Z",
      },
    ],
  });
  coordinator.topology = {
    term: 7,
    processes: [
      topologyProcess("bank/north", { ready: true, reasons: [], authorities: ["north:50051", "north.bank:50051"] }),
      topologyProcess("bank/south", {
        phase: "detached",
        ready: false,
        reasons: [{ code: "StreamBroken", message: "its stream to the coordinator broke, the grace period runs" }],
      }),
    ],
    links: [{ id: "l1", a: "bank/north", b: "bank/south", phase: "connected", openCalls: 3 }],
    environment: [
      { process: "bank/south", authority: "mail.example:443", direction: "outbound", calls: 4, openCalls: 1 },
    ],
  };
  const { stdout, exitCode } = await run(args, { server: coordinator.url, ...options });
  assert.equal(exitCode, 0);
  context.assert.fileSnapshot(stdout, join(import.meta.dirname, "golden", name), { serializers: [String] });
}

function topologyProcess(id: string, more: object) {
  return {
    id,
    incarnation: `${id}-1`,
    agentVersion: "0.1.0",
    captureSource: "participant",
    authorities: [],
    labels: {},
    attachedAt: "2026-03-01T10:00:00.000Z",
    phase: "attached",
    ...more,
  };
}

const onTerminal = (columns: number): RunOptions => ({ isTTY: true, columns });

test("list", (t) => isGolden(t, "list.txt", ["snapshot", "list"]));
test("list, wide", (t) => isGolden(t, "list-wide.txt", ["snapshot", "list", "-o", "wide"]));
test("list, wide, fitted", (t) =>
  isGolden(t, "list-wide-130.txt", ["snapshot", "list", "-o", "wide", "--no-color"], onTerminal(130)));
test("describe", (t) => isGolden(t, "describe.txt", ["snapshot", "describe", "s-0001"]));
test("describe a failed one", (t) => isGolden(t, "describe-failed.txt", ["snapshot", "describe", "s-0002"]));
test("describe in colours", (t) =>
  isGolden(t, "describe-colours.txt", ["snapshot", "describe", "s-0001"], onTerminal(100)));
test("topology", (t) => isGolden(t, "topology.txt", ["topology"]));
test("topology, wide, fitted", (t) =>
  isGolden(t, "topology-wide-100.txt", ["topology", "-o", "wide", "--no-color"], onTerminal(100)));

test("colours only for a person who wants them", async () => {
  await using coordinator = await FakeCoordinator.start();
  coordinator.add();
  const get = async (args: readonly string[], options: RunOptions) =>
    (await run(["snapshot", "get", "s-0001", ...args], { server: coordinator.url, ...options })).stdout;
  assert.ok((await get([], onTerminal(100))).includes("\u001b[32mCompleted"));
  const colourless = [
    await get(["--no-color"], onTerminal(100)),
    await get([], { ...onTerminal(100), env: { NO_COLOR: "1" } }),
    await get([], { ...onTerminal(100), env: { TERM: "dumb" } }),
    await get([], {}),
  ];
  for (const text of colourless) assert.ok(!text.includes("\u001b"));
});

test("a table gives up cells of its widest column, never of one that must stay whole", () => {
  const columns = [{ title: "ID" }, { title: "A", cellsMin: 4 }, { title: "B", cellsMin: 4 }];
  const rows = [["never-cut-this", "aaaaaaaaaa", "bbbbbbbbbbbbbbbb"]];
  const lines = (cells: number) => formatTable(columns, rows, { paint: plain, columns: cells }).split("\n");
  assert.equal(lines(60)[1], "never-cut-this   aaaaaaaaaa   bbbbbbbbbbbbbbbb");
  assert.equal(lines(36)[1], "never-cut-this   aaaaaaa…   bbbbbbb…");
  assert.equal(lines(5)[1], "never-cut-this   aaa…   bbb…");
});

test("widths count cells, not characters", () => {
  assert.deepEqual(["abc", "日本", "e\u0301", "😀"].map(widthOf), [3, 4, 1, 2]);
  assert.equal(truncate("日本語", 5), "日本…");
  assert.equal(truncate("日本語", 4), "日…");
  assert.equal(escapeLine("a\n\t\u001b[0m\u0085\u202e"), "a\\n\\t\\x1b[0m\\x85\\u202e");
});

test("ages, durations and sizes", () => {
  const now = Date.parse("2026-03-01T00:00:00Z");
  const age = (seconds: number) => formatAge(new Date(now - seconds * 1000).toISOString(), now);
  assert.deepEqual([0, 119, 120, 7199, 7200, 172_799, 172_800, -60].map(age), [
    "0s",
    "119s",
    "2m",
    "119m",
    "2h",
    "47h",
    "2d",
    "0s",
  ]);
  assert.equal(formatAge("", now), "-");
  assert.deepEqual([0, 999, 1000, 12_400, 1_500_000, 245_000_000].map(formatDurationUs), [
    "0µs",
    "999µs",
    "1ms",
    "12ms",
    "1.5s",
    "4m05s",
  ]);
  assert.deepEqual([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(formatBytes), [
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "5 GiB",
  ]);
});
