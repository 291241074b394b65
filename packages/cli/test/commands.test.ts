import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { parse } from "yaml";
import { FakeCoordinator } from "./support/coordinator.ts";
import { globalState } from "./support/fixtures.ts";
import { run } from "./support/run.ts";

let coordinator: FakeCoordinator;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cutline-"));
});
after(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  coordinator = await FakeCoordinator.start();
});
afterEach(() => coordinator[Symbol.asyncDispose]());

const ask = (args: readonly string[], options: Parameters<typeof run>[1] = {}) =>
  run(args, { server: coordinator.url, ...options });

test("exit code 2: the command line is wrong, and why", async () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [["snapshot", "create", "--timeout", "soon"], /A duration is a number and a unit/],
    [["snapshot", "create", "--label", "x"], /A label is written key=value/],
    [["snapshot", "create", "--initiator", "north"], /A process is written namespace\/name/],
    [["snapshot", "create", "--no-wait", "--require-exact"], /--require-exact needs the end/],
    [["snapshot", "list", "--phase", "Done"], /The phases are Pending, /],
    [["snapshot", "list", "--limit", "0"], /whole number from 1 to 500/],
    [["snapshot", "creat"], /Did you mean create\?/],
    [["snapshot", "get"], /missing required argument 'id'/],
    [["topology", "-o", "xml"], /Allowed choices are table, wide, json, yaml/],
    [["topology", "--server", "ftp://host"], /must begin with http:\/\/ or https:\/\//],
    [["state", "s-1", "--process", "a/b", "--channel", "l1:0"], /--process and --channel do not go together/],
    [["snapshot", "delete", "s-1"], /give --yes/],
    [[], /Usage: cutline/],
  ];
  for (const [args, message] of cases) {
    const { exitCode, stderr } = await ask(args);
    assert.equal(exitCode, 2, args.join(" "));
    assert.match(stderr, message);
  }
  assert.deepEqual(coordinator.asked, [], "nothing was asked of the coordinator");
});

test("exit code 2 also for what the coordinator calls invalid, field by field", async () => {
  const errors = [{ field: "body/labels", message: "must match pattern" }];
  coordinator.refusal = { status: 400, body: { detail: "The request is not valid.", code: "Invalid", errors } };
  const { exitCode, stderr } = await ask(["snapshot", "create", "--label", "ä=1"]);
  assert.equal(exitCode, 2);
  assert.equal(
    stderr,
    "cutline: cannot start a snapshot: The request is not valid.\n  body/labels: must match pattern\n",
  );
});

test("exit code 3: there is no such snapshot", async () => {
  for (const args of [["snapshot", "get"], ["snapshot", "describe"], ["snapshot", "abort"], ["state"]]) {
    const { exitCode, stderr } = await ask([...args, "s-7"]);
    assert.equal(exitCode, 3);
    assert.match(stderr, /s-7: There is no snapshot with this id/);
  }
});

test("exit code 4: nobody listens; what may be repeated is tried again, a bounded number of times", async () => {
  const url = coordinator.url;
  await coordinator[Symbol.asyncDispose]();
  const listed = await run(["snapshot", "list"], { server: url });
  assert.equal(listed.exitCode, 4);
  assert.match(listed.stderr, /the coordinator at http:\/\/127\.0\.0\.1:\d+ cannot be reached: connection refused/);
  assert.deepEqual(listed.slept, [200, 400, 800]);

  const created = await run(["snapshot", "create"], { server: url });
  assert.match(created.stderr, /ask again with --idempotency-key key-1/);
  assert.equal(created.slept.length, 3);

  const aborted = await run(["snapshot", "abort", "s-1"], { server: url });
  assert.deepEqual([aborted.exitCode, aborted.slept], [4, []], "an abort is not repeated");
});

test("exit code 4: not ready, and it says when to come back", async () => {
  const body = { detail: "This replica does not lead.", code: "NotLeading" };
  coordinator.refusal = { status: 503, retryAfter: "5", body };
  const { exitCode, stderr } = await ask(["topology"]);
  assert.equal(exitCode, 4);
  assert.equal(stderr, "cutline: cannot get the topology: This replica does not lead.; try again in 5 s\n");
});

test("exit code 4: something answers that is no coordinator", async () => {
  coordinator.refusal = { status: 200, body: "<html>login</html>" };
  const { exitCode, stderr } = await ask(["snapshot", "get", "s-1"]);
  assert.equal(exitCode, 4);
  assert.match(stderr, /does not come from a coordinator of this version: it is not JSON/);
});

test("exit code 5: too many, or in conflict", async () => {
  coordinator.add();
  const conflict = await ask(["snapshot", "abort", "s-0001"]);
  assert.equal(conflict.exitCode, 5);
  assert.match(conflict.stderr, /It has ended already/);
  coordinator.refusal = {
    status: 429,
    retryAfter: "12",
    body: { detail: "2 snapshots run.", code: "TooManySnapshots" },
  };
  const many = await ask(["snapshot", "create"]);
  assert.equal(many.exitCode, 5);
  assert.match(many.stderr, /2 snapshots run\.; try again in 12 s/);
});

test("list filters, pages with --all, and says when there is more", async () => {
  for (const id of ["s-1", "s-2", "s-3", "s-4", "s-5"]) coordinator.add({ id });
  const some = await ask([
    "snapshot",
    "list",
    "--label",
    "a=1",
    "--phase",
    "failed",
    "--phase",
    "Aborted",
    "--limit",
    "2",
  ]);
  const asked = new URL(coordinator.asked[0]?.url ?? "", "http://host").searchParams;
  assert.deepEqual(
    [asked.getAll("label"), asked.getAll("phase"), asked.get("limit")],
    [["a=1"], ["Failed", "Aborted"], "2"],
  );
  assert.equal(some.stdout.split("\n").length, 4);
  assert.match(some.stderr, /there are more than these 2: raise --limit, or use --all/);

  const all = await ask(["snapshot", "list", "--all", "--quiet"]);
  assert.equal(all.stdout, "s-1\ns-2\ns-3\ns-4\ns-5\n");
  const asJson = await ask(["snapshot", "list", "--limit", "1", "-o", "json"]);
  assert.deepEqual([JSON.parse(asJson.stdout).snapshots[0].id, JSON.parse(asJson.stdout).next], ["s-1", "1"]);
});

test("json and yaml carry what the coordinator sent, fields unknown here too", async () => {
  coordinator.add({ fromTheFuture: { deep: [1] } });
  const sent = coordinator.snapshots.get("s-0001");
  assert.deepEqual(JSON.parse((await ask(["snapshot", "get", "s-0001", "-o", "json"])).stdout), sent);
  assert.deepEqual(parse((await ask(["-o", "yaml", "snapshot", "describe", "s-0001"])).stdout), sent);
});

test("delete asks nobody with --yes, and asks a person without", async () => {
  coordinator.add();
  const kept = await ask(["snapshot", "delete", "s-0001"], { isTTY: true, stdin: "n\n" });
  assert.deepEqual([kept.exitCode, coordinator.snapshots.size], [0, 1]);
  assert.match(kept.stderr, /Delete s-0001 and all its state\? \[y\/N\] [\s\S]*kept s-0001/);
  const answered = await ask(["snapshot", "delete", "s-0001"], { isTTY: true, stdin: "y\n" });
  assert.deepEqual([answered.exitCode, coordinator.snapshots.size], [0, 0]);
  coordinator.add();
  await ask(["snapshot", "delete", "s-0001", "--yes"]);
  assert.equal(coordinator.snapshots.size, 0);
});

test("state streams to stdout or into a private file that must be new, and verify takes it from there", async () => {
  coordinator.add();
  assert.deepEqual(JSON.parse((await ask(["state", "s-0001"])).stdout), globalState());
  for (const form of [[], ["--ndjson"]]) {
    const file = join(folder, `state${form.join("")}`);
    const { exitCode, stderr } = await ask(["state", "s-0001", "-f", file, ...form]);
    assert.equal(exitCode, 0, stderr);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await run(["verify", file])).exitCode, 0);
    const refused = await ask(["state", "s-0001", "-f", file, ...form]);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /exists: choose another name, or replace it with --force/);
    assert.equal((await ask(["state", "s-0001", "-f", file, "--force", ...form])).exitCode, 0);
  }
});

test("a torn download leaves nothing behind, and what was there stays", async () => {
  coordinator.add();
  coordinator.tearsState = true;
  const own = await mkdtemp(join(folder, "torn-"));
  const file = join(own, "state.json");
  await writeFile(file, "before");
  const { exitCode, stderr } = await ask(["state", "s-0001", "-f", file, "--force"]);
  assert.equal(exitCode, 4);
  assert.match(stderr, /cannot get the state of s-0001: .*broke before the answer was whole/);
  assert.deepEqual(await readdir(own), ["state.json"]);
  assert.equal(await readFile(file, "utf8"), "before");
});

test("one local state: exact bytes into a pipe, nothing that steers a terminal onto one", async () => {
  coordinator.add();
  const args = ["state", "s-0001", "--process", "bank/north"];
  assert.equal((await ask(args)).stdout, "raw \u001b[31mstate");
  assert.equal((await ask(args, { isTTY: true })).stdout, "raw \\u001b[31mstate\n");
  const channel = await ask(["state", "s-0001", "--channel", "l1:0"]);
  assert.equal(JSON.parse(channel.stdout).frames.length, 6);
  assert.equal((await ask(["state", "s-0001", "--process", "bank/none"])).exitCode, 3);
});

test("control characters from the server are shown, not obeyed, in every output", async () => {
  const evil = "\u001b]0;owned\u0007\u202e\u009b1m";
  coordinator.add({
    initiator: evil,
    labels: { [evil]: evil },
    message: evil,
    reasons: [{ code: evil, message: evil }],
  });
  const commands = [
    ["snapshot", "get"],
    ["snapshot", "describe"],
  ];
  for (const command of commands) {
    for (const format of ["table", "wide", "json", "yaml"]) {
      const { stdout } = await ask([...command, "s-0001", "-o", format]);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, format);
    }
  }
  const parsed = parse((await ask(["snapshot", "get", "s-0001", "-o", "yaml"])).stdout);
  assert.equal(parsed.initiator, evil, "escaped, and the same value");
  coordinator.refusal = { status: 409, body: { detail: evil } };
  assert.match((await ask(["topology"])).stderr, /\\x1b\]0;owned\\x07\\u202e\\x9b1m/);
});
