import assert from "node:assert/strict";
import { it } from "node:test";
import { createMetrics, silentLogger } from "@cutline/runtime";
import { openWaitingRoom } from "../../src/admin/waiting-room.ts";

it("an agent that waits for its certificate lives, is not ready, and says for what it waits", async (t) => {
  let reason: string | undefined;
  const room = await openWaitingRoom({
    admin: { host: "127.0.0.1", port: 0 },
    health: { host: "127.0.0.1", port: 0 },
    reason: () => reason,
    metrics: createMetrics(),
    logger: silentLogger,
  });
  t.after(() => room.close());
  const ask = async (port: number, path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } });
    return { status: answer.status, text: await answer.text() };
  };
  assert.equal((await ask(room.adminPort, "/healthz")).status, 200);
  const first = await ask(room.adminPort, "/readyz");
  assert.equal(first.status, 503);
  assert.match(first.text, /IdentityMissing.*it has been asked for/s);
  reason = "the coordinator at 10.0.0.1:7402 issues no certificate: connect ECONNREFUSED";
  assert.match((await ask(room.adminPort, "/readyz")).text, /IdentityMissing.*ECONNREFUSED/s);
  const probe = await ask(room.healthPort, "/readyz");
  assert.equal(probe.status, 503);
  assert.match(probe.text, /IdentityMissing/);
  assert.doesNotMatch(probe.text, /10\.0\.0\.1/, "codes only, for others reach this port");
  assert.equal((await ask(room.healthPort, "/livez")).status, 503, "a startup probe holds the application");
});
