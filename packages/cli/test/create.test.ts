import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FakeCoordinator } from "./support/coordinator.ts";
import type { Loose } from "./support/fixtures.ts";
import { run } from "./support/run.ts";

let coordinator: FakeCoordinator;

beforeEach(async () => {
  coordinator = await FakeCoordinator.start();
});
afterEach(() => coordinator[Symbol.asyncDispose]());

const ask = (args: readonly string[], options: Parameters<typeof run>[1] = {}) =>
  run(args, { server: coordinator.url, ...options });

test("create sends what was asked for, with a key of its own, and returns at once with --no-wait", async () => {
  const args = ["snapshot", "create", "--no-wait", "--timeout", "2m", "--label", "a=1", "--label", "b=x=y"];
  const more = ["--initiator", "bank/north", "--namespace", "bank", "--namespace", "shop", "--attempts", "2"];
  const { exitCode, stdout, stderr } = await ask([...args, ...more]);
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(
    coordinator.asked.map(({ method, url, body }) => ({ method, url, body })),
    [
      {
        method: "POST",
        url: "/v1/snapshots",
        body: {
          scope: { namespaces: ["bank", "shop"], labelSelector: {} },
          initiator: "bank/north",
          timeoutMs: 120_000,
          labels: { a: "1", b: "x=y" },
          attempts: 2,
        },
      },
    ],
  );
  assert.equal(coordinator.asked[0]?.headers["idempotency-key"], "key-1");
  assert.match(stdout, /^ID +PHASE .*\ns-0001 +Pending +0\/0 +0\/0 +0 +- +30m\n$/);
});

test("create waits for the end; away from a terminal it says only what changed", async () => {
  const cutting = { phase: "Cutting", progress: progress(1, 0, 0) };
  coordinator.steps = [cutting, {}, { phase: "Collecting", progress: progress(2, 2, 2048) }, ended({})];
  const { exitCode, stdout, stderr } = await ask(["snapshot", "create", "--idempotency-key", "mine"]);
  assert.equal(exitCode, 0);
  assert.equal(coordinator.asked[0]?.headers["idempotency-key"], "mine");
  assert.equal(
    stderr,
    `started s-0001
Pending: not begun
Cutting: 1 of 2 processes cut, 0 of 2 channels closed, 0 B stored
Collecting: 2 of 2 processes cut, 2 of 2 channels closed, 2 KiB stored
`,
  );
  assert.equal(
    stdout,
    `ID       PHASE       PROCESSES   CHANNELS   INFLIGHT   EXACT   AGE
s-0001   Completed         2/2        2/2          2   yes     30m
`,
  );
});

test("on a terminal the progress is drawn again in its place, and gone at the end", async () => {
  coordinator.steps = [{ phase: "Cutting", progress: progress(1, 0, 0) }, ended({})];
  const { stderr } = await ask(["snapshot", "create"], { isTTY: true, columns: 60 });
  assert.equal(
    stderr,
    [
      "started s-0001\n",
      "Pending: not begun (0s)",
      "\r\u001b[2K",
      "Cutting: 1 of 2 processes cut, 0 of 2 channels closed, 0 B…",
      "\r\u001b[2K",
    ].join(""),
  );
});

test("--quiet prints the id alone", async () => {
  coordinator.steps = [ended({})];
  const { stdout, stderr } = await ask(["snapshot", "create", "-q"]);
  assert.equal(stdout, "s-0001\n");
  assert.equal(stderr, "");
});

test("exit code 1: the snapshot failed or was aborted", async () => {
  coordinator.steps = [ended({ phase: "Failed", reason: "ProcessLost", message: "bank/south vanished", exact: false })];
  const failed = await ask(["snapshot", "create"]);
  assert.equal(failed.exitCode, 1);
  assert.match(failed.stderr, /cutline: the snapshot s-0001 ended Failed: ProcessLost: bank\/south vanished\n$/);
  coordinator.add({ id: "s-9", phase: "Aborted", reason: "Aborted", message: "asked for" });
  assert.equal((await ask(["snapshot", "wait", "s-9"])).exitCode, 1);
});

test("a coordinator that comes back between two tries is found", async () => {
  const { url } = coordinator;
  await coordinator[Symbol.asyncDispose]();
  const ran = await run(["snapshot", "create", "--no-wait", "-q"], {
    server: url,
    onSleep: async (count) => {
      if (count === 2) coordinator = await FakeCoordinator.start(Number(new URL(url).port));
    },
  });
  assert.deepEqual([ran.exitCode, ran.stdout], [0, "s-0001\n"]);
  assert.equal(coordinator.asked.length, 1);
});

test("exit code 6: Completed but not exact, only when exactness is required", async () => {
  coordinator.steps = [ended({ exact: false })];
  assert.equal((await ask(["snapshot", "create"])).exitCode, 0);
  const required = await ask(["snapshot", "create", "--require-exact", "--idempotency-key", "other"]);
  assert.equal(required.exitCode, 6);
  assert.match(required.stderr, /Completed but not exact; "cutline snapshot describe s-0002" says why/);
});

test("exit code 130: Ctrl-C leaves the snapshot running and says how to look at it", async () => {
  coordinator.steps = [{ phase: "Cutting" }];
  const interruption = new AbortController();
  const { exitCode, stderr } = await ask(["snapshot", "create"], {
    signal: interruption.signal,
    onSleep: (count) => {
      if (count === 3) interruption.abort();
    },
  });
  assert.equal(exitCode, 130);
  assert.match(stderr, /the snapshot s-0001 goes on\. Look at it with "cutline snapshot describe s-0001"/);
  assert.equal(coordinator.snapshots.get("s-0001").phase, "Cutting");
});

test("waiting outlives a coordinator that is replaced, but not for ever", async () => {
  coordinator.steps = [ended({})];
  const back = await ask(["snapshot", "create"], {
    onSleep: (count) => {
      coordinator.refusal = count < 5 ? { status: 503, body: { detail: "No leader." } } : undefined;
    },
  });
  assert.equal(back.exitCode, 0);
  assert.equal(back.stderr.match(/the coordinator is away; s-0001 may go on/g)?.length, 1);

  coordinator.steps = [{ phase: "Cutting" }];
  const gone = await ask(["snapshot", "create", "--idempotency-key", "b"], {
    onSleep: () => {
      coordinator.refusal = { status: 503, body: { detail: "No leader." } };
    },
  });
  assert.equal(gone.exitCode, 4);
  assert.match(gone.stderr, /No leader\.. The snapshot s-0002 may go on/);
});

test("a snapshot that nobody ends is not waited for beyond its deadline", async () => {
  coordinator.steps = [{ phase: "Cutting" }];
  const { exitCode, stderr, slept } = await ask(["snapshot", "create"]);
  assert.equal(exitCode, 4);
  assert.match(stderr, /still Cutting, 30 s after its own deadline/);
  assert.ok(slept.length < 100);
});

function progress(cut: number, closed: number, storedBytes: number): Loose {
  const totals = { processesTotal: 2, channelsTotal: 2, inFlightMessages: 2 };
  return { ...totals, processesCut: cut, channelsClosed: closed, storedBytes };
}

function ended(more: Loose): Loose {
  const at = { endedAt: "2026-03-01T12:00:01.200Z", durationMs: 1200 };
  return { phase: "Completed", exact: true, progress: progress(2, 2, 2048), ...at, ...more };
}
