import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "../src/index.ts";

const main = fileURLToPath(new URL("../src/demo/main.ts", import.meta.url));
const repository = fileURLToPath(new URL("../../../", import.meta.url));

interface Demo {
  readonly child: ChildProcess;
  output(): string;
}

function start(test: TestContext, environment: Record<string, string>): Demo {
  const child = spawn(process.execPath, ["--conditions=cutline-source", main], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  test.after(() => child.kill("SIGTERM"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return { child, output: () => output };
}

describe("the demo", () => {
  it("shows wrong copies and right snapshots, and ends by itself where nobody watches", async (test) => {
    const { child, output } = start(test, { DEMO_SNAPSHOTS: "2" });
    const [code] = await once(child, "close");
    assert.equal(code, 0, output());
    assert.match(output(), /copy 1 +[\d,.]+ +(wrong|right, by luck)/);
    assert.match(output(), /Snapshot 2 of 2/);
    assert.equal(
      output().match(/total +40,000\.00 +exact/g)?.length ?? 0,
      output().match(/exact: every/g)?.length ?? 0,
    );
    assert.equal(output().match(/certificate valid/g)?.length, 2);
    assert.match(output(), /Everything is stopped/);
  });

  it("leaves commands that work and goes on until Ctrl-C", async (test) => {
    const { child, output } = start(test, { DEMO_SNAPSHOTS: "1", DEMO_KEEP_RUNNING: "1" });
    const toTry = await until(
      "the invitation to try things",
      () => /^3\. Try next.*\n([\s\S]*)^The bank goes on/m.exec(output())?.[1],
      { timeoutMs: 60_000, otherwise: output },
    );
    const folder = join(tmpdir(), `cutline-demo-${process.pid}`);
    test.after(() => rm(folder, { recursive: true, force: true }));
    const commands = toTry.replaceAll("state.json", `${folder}.json`).trim();
    test.after(() => rm(`${folder}.json`, { force: true }));
    // `set -e`: the first one that fails is the end; each is shown before it runs.
    const script = `set -ex\n${commands.replaceAll("curl -s", "curl -sf")}`;
    const { stdout } = await promisify(execFile)("/bin/sh", ["-c", script], { cwd: repository });
    assert.match(stdout, /bank\/branch-d/);
    assert.match(stdout, /"traffic":"paused"/);
    child.kill("SIGINT");
    const [code] = await once(child, "close");
    assert.equal(code, 0, output());
    assert.match(output(), /Everything is stopped/);
  });
});
