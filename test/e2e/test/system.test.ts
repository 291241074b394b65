import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { SystemError, startSystem } from "../src/index.ts";

describe("a system that cannot start", () => {
  it("says which program failed and what it said, and leaves nothing running", async () => {
    const branches = [{ name: "branch-a" }, { name: "branch-b", environment: { BRANCH_CONCURRENCY: "many" } }];
    const failure = await startSystem({ branches }).then(
      () => assert.fail("it started"),
      (error: unknown) => error,
    );
    assert.ok(failure instanceof SystemError);
    assert.equal(failure.code, "ProgramEnded");
    assert.match(failure.message, /branch-b ended before it was up \(exit code 1\)/);
    assert.match(failure.message, /BRANCH_CONCURRENCY is \\"many\\"/);
    const folder = /logs: (.*)$/m.exec(failure.message)?.[1] ?? "";
    assert.ok(folder.startsWith(tmpdir()));
    await rm(folder, { recursive: true });
    // Whatever still ran would keep this test file from ending.
  });

  it("needs a redis-server for the redis store, and says how to get one", async (test) => {
    const path = process.env.PATH;
    test.after(() => {
      process.env.PATH = path;
    });
    process.env.PATH = "/nowhere";
    await assert.rejects(startSystem({ store: "redis", branches: [] }), {
      code: "ProgramMissing",
      message: /redis-server.*make redis/,
    });
  });
});
