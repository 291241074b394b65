import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { version } from "../src/version.ts";
import { FakeCoordinator } from "./support/coordinator.ts";

const bin = fileURLToPath(new URL("../bin/cutline.js", import.meta.url));
const { NODE_OPTIONS: _, ...env } = process.env;

async function spawn(args: readonly string[]) {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env });
    return { exitCode: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, stdout, stderr };
  }
}

test("the program runs from a clone without any flag, asks over HTTP and ends by itself", async () => {
  await using coordinator = await FakeCoordinator.start();
  coordinator.add();
  const found = await spawn([bin, "--server", coordinator.url, "snapshot", "get", "s-0001", "-o", "json"]);
  assert.deepEqual([found.exitCode, JSON.parse(found.stdout).id], [0, "s-0001"], found.stderr);
  const missing = await spawn([bin, "--server", coordinator.url, "snapshot", "get", "s-0002"]);
  assert.equal(missing.exitCode, 3);
});

test("an older Node.js is told which one is needed", async () => {
  const older = "Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})";
  const { exitCode, stderr, stdout } = await spawn(["--import", `data:text/javascript,${older}`, bin, "version"]);
  assert.match(stderr, /^cutline: needs Node\.js 24 or newer, and this is 20\.20\.2 /);
  assert.deepEqual([exitCode, stdout], [2, ""]);
});

test("the version is the package's", async () => {
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(version, manifest.version);
  assert.equal((await spawn([bin, "version"])).stdout, `cutline ${version}\n`);
});
