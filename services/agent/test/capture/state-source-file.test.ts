import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { StateSource } from "../../src/capture/state-source.ts";
import { captureError, never, readAll, sourceOf } from "./state-source-reading.ts";

describe("a state in a file", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "state-source-test-"));
  });
  after(() => rm(folder, { recursive: true }));

  const fileSource = (path: string): StateSource => sourceOf(pathToFileURL(path).href);

  for (const length of [0, 1, 262_144, 3_000_001]) {
    test(`of ${length} bytes comes in whole`, async () => {
      const path = join(folder, `state of ${length} # bytes`);
      const state = randomBytes(length);
      await writeFile(path, state);
      const reading = await readAll(fileSource(path));
      assert.ok(reading.bytes.equals(state));
      assert.deepEqual(reading.contentTypes, ["application/octet-stream"]);
    });
  }

  test("is JSON by its name, and found through a link", async () => {
    await writeFile(join(folder, "state.json"), "{}");
    await symlink("state.json", join(folder, "link.JSON"));
    const reading = await readAll(fileSource(join(folder, "link.JSON")));
    assert.equal(reading.bytes.toString(), "{}");
    assert.deepEqual(reading.contentTypes, ["application/json"]);
  });

  const changes: { name: string; change: (path: string) => Promise<void> }[] = [
    { name: "grows", change: (path) => appendFile(path, "more") },
    { name: "shrinks", change: (path) => truncate(path, 300_000) },
    { name: "is written with the same size", change: (path) => writeFile(path, randomBytes(600_000)) },
  ];
  for (const { name, change } of changes) {
    test(`that ${name} while it is read is not taken`, async () => {
      const path = join(folder, "changing");
      await writeFile(path, randomBytes(600_000));
      // Long ago, because two writes within one tick of the file system's clock have the same time.
      await utimes(path, 1, 1);
      let isChanged = false;
      const reading = readAll(fileSource(path), never, async () => {
        if (!isChanged) await change(path);
        isChanged = true;
      });
      await assert.rejects(reading, captureError("StateUnreadable", /changed while it was read/));
    });
  }

  test("that is replaced by renaming is read as it was", async () => {
    const path = join(folder, "replaced");
    const state = randomBytes(600_000);
    await writeFile(path, state);
    await writeFile(`${path}.new`, "new");
    let isReplaced = false;
    const reading = await readAll(fileSource(path), never, async () => {
      if (!isReplaced) await rename(`${path}.new`, path);
      isReplaced = true;
    });
    assert.ok(reading.bytes.equals(state));
    assert.equal((await readAll(fileSource(path))).bytes.toString(), "new");
  });

  test("that is not there, or is no plain file, is not taken", async () => {
    await assert.rejects(
      readAll(fileSource(join(folder, "missing"))),
      captureError("StateUnreadable", /missing.*ENOENT/),
    );
    await mkdir(join(folder, "folder"));
    await assert.rejects(readAll(fileSource(join(folder, "folder"))), captureError("StateUnreadable", /is a folder/));
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await assert.rejects(readAll(fileSource(join(folder, "pipe"))), captureError("StateUnreadable", /a pipe/));
  });

  test("that gives more than its size is not taken", {
    skip: process.platform !== "linux" && "needs /proc",
  }, async () => {
    await assert.rejects(readAll(fileSource("/proc/self/status")), captureError("StateUnreadable", /has 0 bytes/));
  });
});
