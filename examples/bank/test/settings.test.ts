import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readSettings } from "../src/settings.ts";

describe("readSettings", () => {
  it("needs a name and has a default for everything else", () => {
    assert.deepEqual(readSettings({ BRANCH_NAME: "branch-1" }), {
      name: "branch-1",
      port: 50_051,
      peers: [],
      openingCents: 1_000_000,
      concurrency: 8,
      pauseMs: 0,
      paddingBytes: 0,
      slowReaderMs: 0,
      refusedOneIn: 50,
      seed: "1",
    });
  });

  it("lets an opaque branch go slowly, so that there are quiet moments", () => {
    const { concurrency, pauseMs, opaqueStatePort } = readSettings({
      BRANCH_NAME: "branch-1",
      BRANCH_OPAQUE_STATE_PORT: "8080",
    });
    assert.deepEqual(
      { concurrency, pauseMs, opaqueStatePort },
      { concurrency: 2, pauseMs: 100, opaqueStatePort: 8080 },
    );
  });

  it("reads peers by name and authority", () => {
    const { peers } = readSettings({ BRANCH_NAME: "a", BRANCH_PEERS: "b=branch-2.bank:50051, c=127.0.0.1:7" });
    assert.deepEqual(peers, [
      { name: "b", authority: "branch-2.bank:50051" },
      { name: "c", authority: "127.0.0.1:7" },
    ]);
  });

  it("names the variable that is wrong", () => {
    const invalid = (variable: RegExp) => ({ code: "SETTING_INVALID", message: variable });
    assert.throws(() => readSettings({}), invalid(/BRANCH_NAME/));
    assert.throws(() => readSettings({ BRANCH_NAME: "a", BRANCH_PORT: "http" }), invalid(/BRANCH_PORT/));
    assert.throws(() => readSettings({ BRANCH_NAME: "a", BRANCH_CONCURRENCY: "0" }), invalid(/BRANCH_CONCURRENCY/));
    assert.throws(() => readSettings({ BRANCH_NAME: "a", BRANCH_PEERS: "b:50051" }), invalid(/BRANCH_PEERS/));
  });
});
