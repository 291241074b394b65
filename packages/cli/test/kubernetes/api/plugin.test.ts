import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import type { Loose } from "../../support/fixtures.ts";
import { PluginWorld } from "../support/plugin.ts";

const suiteMsMax = 240_000;

const completed = {
  phase: "Completed",
  snapshotId: "s-1",
  attempt: 1,
  processes: "2/2",
  channels: "2/2",
  inFlightMessages: 3,
  exact: true,
  startedAt: "2026-11-23T12:00:00Z",
  endedAt: "2026-11-23T12:00:01Z",
};
const failed = {
  phase: "Failed",
  reason: "ProcessLost",
  message: "the process shop/bank-0 was lost",
  attempt: 3,
  processes: "1/2",
  channels: "0/2",
  inFlightMessages: 0,
  problems: [{ pod: "shop/bank-0", code: "ProcessLost", message: "its agent did not come back" }],
  conditions: [
    {
      type: "Failed",
      status: "True",
      observedGeneration: 1,
      lastTransitionTime: "2026-11-23T12:00:01Z",
      reason: "ProcessLost",
      message: "the process shop/bank-0 was lost",
    },
  ],
};

describe("kubectl cutline, against a real API server", { timeout: suiteMsMax }, () => {
  let world: PluginWorld;

  before(async () => {
    world = await PluginWorld.open();
  });
  after(() => world.close());

  /** In this process; kubectl starts the plugin where it has to wait. */
  const ask = async (...args: string[]) => await world.inProcess(args);
  const kubectl = async (...args: string[]) => await world.cutline(args);

  /** The names of the GlobalSnapshots that are there. */
  const names = async () => {
    const { items } = await world.read(["-n", world.namespace, "get", "gsnap"]);
    return items.map(({ metadata }: Loose) => metadata.name) as string[];
  };

  it("creates a GlobalSnapshot with what was asked for", async () => {
    const { exitCode, stdout, stderr } = await ask(
      ...["snapshot", "create", "asked", "--no-wait", "--timeout", "90s", "--attempts", "2", "--label", "team=a"],
      ...["--initiator", "shop/bank-0", "--scope-namespace", "shop", "--scope-label", "tier=db", "--keep-data"],
    );
    assert.equal(exitCode, 0, stderr);
    assert.equal(stdout, "globalsnapshot.cutline.dev/asked created\n");
    const { metadata, spec } = await world.read(["-n", world.namespace, "get", "gsnap", "asked"]);
    assert.deepEqual(metadata.labels, { team: "a" });
    const { scope, timeoutSeconds, attempts, initiator, labels, deletionPolicy } = spec;
    assert.deepEqual(scope, { namespaces: ["shop"], labelSelector: { matchLabels: { tier: "db" } } });
    assert.deepEqual(
      { timeoutSeconds, attempts, initiator, labels, deletionPolicy },
      { timeoutSeconds: 90, attempts: 2, initiator: "shop/bank-0", labels: { team: "a" }, deletionPolicy: "Keep" },
    );
    assert.equal((await ask("snapshot", "create", "asked", "--no-wait")).exitCode, 5, "it is there already");
    assert.equal((await ask("snapshot", "create", "Not_A_Name", "--no-wait")).exitCode, 2);
    assert.match((await ask("snapshot", "create", "-q", "--no-wait")).stdout, /^snapshot-\w+\n$/);
  });

  it("waits for the end that the controller writes, and ends with its exit code", async () => {
    const plays = async (name: string, status: object) => {
      while (!(await names()).includes(name)) await sleep(50);
      await world.writeStatus(name, { phase: "Cutting", processes: "1/2", channels: "0/2", inFlightMessages: 0 });
      await world.writeStatus(name, status);
    };
    const [good] = await Promise.all([kubectl("snapshot", "create", "good", "--wait"), plays("good", completed)]);
    assert.equal(good.exitCode, 0, good.stderr);
    assert.match(
      good.stdout,
      /^NAME +PHASE +PROCESSES +CHANNELS +INFLIGHT +EXACT +AGE\ngood +Completed +2\/2 +2\/2 +3 +yes /,
    );
    assert.match(good.stderr, /globalsnapshot.cutline.dev\/good created/);
    const [bad] = await Promise.all([kubectl("snapshot", "create", "bad"), plays("bad", failed)]);
    assert.equal(bad.exitCode, 1);
    assert.match(bad.stderr, /the snapshot bad ended Failed: ProcessLost: the process shop\/bank-0 was lost/);
    const inexact = kubectl("snapshot", "create", "inexact", "--require-exact");
    await plays("inexact", { ...completed, exact: false });
    assert.equal((await inexact).exitCode, 6);
    assert.equal((await ask("snapshot", "wait", "good")).exitCode, 0);
  });

  it("lists, gets and describes as kubectl does", async () => {
    const table = await ask("list");
    assert.match(table.stdout, /^bad +Failed +1\/2 +0\/2 +0 +- /m);
    assert.equal((await ask("snapshot", "list")).stdout.split("\n")[0], table.stdout.split("\n")[0]);
    assert.match((await ask("list", "-A")).stdout, new RegExp(`^${world.namespace} +good +Completed`, "m"));
    assert.match((await ask("list", "-o", "wide")).stdout, /^bad .* ProcessLost +3 +- +-$/m);
    assert.match((await ask("list", "-o", "name")).stdout, /^globalsnapshot.cutline.dev\/good$/m);
    assert.equal((await ask("list", "-l", "team=a", "-o", "name")).stdout, "globalsnapshot.cutline.dev/asked\n");
    const list = JSON.parse((await ask("list", "-o", "json")).stdout);
    assert.deepEqual([list.kind, list.items.length], ["List", (await names()).length]);
    assert.equal(parse((await ask("get", "good", "-o", "yaml")).stdout).status.snapshotId, "s-1");
    const { stdout } = await ask("describe", "bad");
    for (const line of [
      /^Phase: +Failed$/m,
      /^Reason: +ProcessLost$/m,
      /^ {2}shop\/bank-0 +ProcessLost +its agent did not come back$/m,
      /^ {2}Failed +True +ProcessLost /m,
    ]) {
      assert.match(stdout, line);
    }
    const missing = await ask("describe", "nothing");
    assert.equal(missing.exitCode, 3);
    assert.match(missing.stderr, /cannot get the GlobalSnapshot .*\/nothing: .*"nothing" not found/);
  });

  it("aborts, and deletes when it is told that it may", async () => {
    assert.equal((await ask("snapshot", "abort", "asked")).exitCode, 0);
    assert.equal((await world.read(["-n", world.namespace, "get", "gsnap", "asked"])).spec.abort, true);
    const unsure = await ask("snapshot", "delete", "asked");
    assert.deepEqual([unsure.exitCode, /give --yes/.test(unsure.stderr)], [2, true]);
    assert.equal((await ask("snapshot", "delete", "asked", "--yes")).exitCode, 0);
    assert.ok(!(await names()).includes("asked"));
  });

  it("tells a user without rights what is missing, and check which rights those are", async () => {
    const file = join(world.folder, "stranger");
    await writeFile(file, JSON.stringify(await world.strangersKubeconfig()));
    const refused = await world.inProcess(["list"], file);
    assert.equal(refused.exitCode, 5);
    assert.match(refused.stderr, /globalsnapshots.cutline.dev is forbidden: .*; ask for a role that allows it/);
    const checked = await world.inProcess(["check", "-o", "json"], file);
    assert.equal(checked.exitCode, 1);
    const { findings } = JSON.parse(checked.stdout);
    const missing = findings.filter(({ code }: Loose) => code === "RightMissing").map(({ message }: Loose) => message);
    assert.ok(missing.includes(`may not create globalsnapshots.cutline.dev in ${world.namespace}`), String(missing));
  });
});
