import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadConfig, silentLogger } from "@cutline/runtime";
import { coordinatorConfig } from "../../../src/config.ts";
import { openAccess } from "../../../src/kubernetes/access/open.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";

async function open(environment: Readonly<Record<string, string>>, logger = silentLogger) {
  const loaded = loadConfig(coordinatorConfig, environment);
  assert.ok(loaded.outcome === "ok");
  return await openAccess(loaded.config, { nowMs: Date.now, logger });
}

describe("who may call when nobody has said it", () => {
  for (const host of ["127.0.0.1", "127.0.0.53", "localhost", "::1"]) {
    it(`everybody, on ${host}`, async () => {
      assert.equal((await open({ CUTLINE_HTTP_HOST: host })).access.isOpen, true);
    });
  }

  for (const host of ["0.0.0.0", "::", "10.1.2.3", "coordinator.example", "127.0.0.1.example"]) {
    it(`nobody, on ${host}: the coordinator does not start`, async () => {
      await assert.rejects(open({ CUTLINE_HTTP_HOST: host }), { code: "ConfigInvalid", message: /set CUTLINE_ACCESS/ });
    });
  }

  it("everybody, where that was said, and the log says it too", async () => {
    const lines: LogLine[] = [];
    const { access } = await open({ CUTLINE_HTTP_HOST: "0.0.0.0", CUTLINE_ACCESS: "open" }, recorder(lines));
    assert.equal(access.isOpen, true);
    assert.deepEqual(
      lines.map(({ level }) => level),
      ["warn"],
    );
  });

  it("tokens take a file", async () => {
    await assert.rejects(open({ CUTLINE_ACCESS: "tokens" }), {
      code: "ConfigInvalid",
      message: /CUTLINE_ACCESS_TOKENS_FILE/,
    });
    const missing = { CUTLINE_ACCESS: "tokens", CUTLINE_ACCESS_TOKENS_FILE: "/nowhere/tokens" };
    await assert.rejects(open(missing), { code: "TokenFileInvalid" });
  });
});
