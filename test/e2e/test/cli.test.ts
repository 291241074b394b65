import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { withSystem } from "./support.ts";

const cutline = fileURLToPath(new URL("../../../packages/cli/bin/cutline.js", import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe("cutline, the command line, on a running bank", () => {
  // Some traffic, and time left for the command line.
  const environment = { BRANCH_PAUSE_MS: "20", BRANCH_CONCURRENCY: "2" };
  const system = withSystem({
    branches: [
      { name: "branch-a", environment },
      { name: "branch-b", environment },
    ],
  });

  function run(...args: string[]): Promise<Ended> {
    const env = {
      PATH: process.env.PATH,
      CUTLINE_SERVER: system().httpAddress,
      NODE_COMPILE_CACHE: join(system().folder, "compiled"),
    };
    return new Promise((resolve) => {
      execFile(process.execPath, [cutline, ...args], { env }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, stdout, stderr });
      });
    });
  }

  it("takes a snapshot and waits, downloads the state, and verifies it", async () => {
    const created = await run("snapshot", "create", "--wait", "--require-exact", "--label", "by=cli", "-o", "json");
    assert.equal(created.code, 0, created.stderr);
    const { id, phase, exact } = JSON.parse(created.stdout);
    assert.deepEqual([phase, exact], ["Completed", true]);
    assert.match(created.stderr, /2/, "progress tells of the processes");

    const file = join(system().folder, "state.json");
    const downloaded = await run("state", id, "--file", file);
    assert.equal(downloaded.code, 0, downloaded.stderr);
    const verified = await run("verify", file, "-o", "json");
    assert.equal(verified.code, 0, verified.stdout);
    assert.deepEqual([JSON.parse(verified.stdout).verdict, JSON.parse(verified.stdout).snapshotId], ["valid", id]);

    const lines = join(system().folder, "state.ndjson");
    assert.equal((await run("state", id, "--ndjson", "--file", lines)).code, 0);
    assert.equal((await run("verify", lines)).code, 0);

    const local = await run("state", id, "--process", "bank/branch-a");
    assert.equal(JSON.parse(local.stdout).branch, "branch-a");

    const document = JSON.parse(await readFile(file, "utf8"));
    document.snapshot.channels[0].deliveredAtCut += 1;
    const tampered = join(system().folder, "tampered.json");
    await writeFile(tampered, JSON.stringify(document));
    assert.equal((await run("verify", tampered)).code, 1);
  });

  it("shows the topology, lists and describes snapshots, and deletes one", async () => {
    const { stdout } = await run("topology");
    assert.match(stdout, /bank\/branch-a/);
    assert.match(stdout, /bank\/branch-b/);
    const id = (await run("snapshot", "create", "-q")).stdout.trim();
    assert.match((await run("snapshot", "list")).stdout, new RegExp(id));
    assert.match((await run("snapshot", "describe", id)).stdout, /consistent/);
    assert.equal((await run("snapshot", "delete", id, "--yes")).code, 0);
    assert.equal((await run("snapshot", "get", id)).code, 3);
  });

  it("ends with 3 for what is not there and with 4 where no coordinator is", async () => {
    assert.equal((await run("snapshot", "get", "01aaaaaaaaaaaaaaaaaaaaaaaa")).code, 3);
    const nowhere = await run("--server", "http://127.0.0.1:9", "snapshot", "list");
    assert.equal(nowhere.code, 4);
    assert.match(nowhere.stderr, /127\.0\.0\.1:9/);
  });
});
