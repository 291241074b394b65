import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { FakeApi, sendJson } from "../support/fake-api.ts";
import { dayMs, keeperOf } from "../support/keepers.ts";

const secret = { metadata: { name: "cutline-authority", namespace: "shop", resourceVersion: "1" }, type: "Opaque" };

async function apiWithClock(t: TestContext, aheadMs: () => number): Promise<FakeApi> {
  const api = await FakeApi.open((_request, response) => {
    response.setHeader("date", new Date(Date.now() + aheadMs()).toUTCString());
    sendJson(response, 200, secret);
  });
  t.after(() => api.close());
  return api;
}

describe("a replica whose clock is wrong", () => {
  for (const aheadMs of [-400 * dayMs, 400 * dayMs]) {
    it(`changes no authority, with the API server's ${aheadMs} ms ahead, and says so`, async (t) => {
      const { client, requests } = await apiWithClock(t, () => aheadMs);
      const { keeper } = keeperOf(client, "shop", { clockOffsetMs: () => client.clockOffsetMs() });
      await assert.rejects(keeper.look(), { code: "ClockWrong", message: /set this machine's clock right/ });
      assert.equal(requests.length, 1, "it has only read");
      assert.throws(() => keeper.issuing(), { code: "AuthorityStale" });
    });
  }

  it("goes on as soon as it is right", async (t) => {
    let aheadMs = 400 * dayMs;
    const { client, requests } = await apiWithClock(t, () => aheadMs);
    const { keeper } = keeperOf(client, "shop", { clockOffsetMs: () => client.clockOffsetMs() });
    await assert.rejects(keeper.look(), { code: "ClockWrong" });
    aheadMs = 60_000;
    await keeper.look();
    assert.equal(requests.length, 3, "read, read again, and written");
    assert.match(keeper.bundle, /BEGIN CERTIFICATE/);
  });
});
