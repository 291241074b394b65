import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { defaultControllerLimits } from "../../src/kubernetes/limits.ts";
import { Reflector } from "../../src/kubernetes/reflector.ts";
import type { KubeObject } from "../../src/kubernetes/resources/objects.ts";
import { type LogLine, recorder } from "../support/recorder.ts";
import { FakeApi, gone, object, sendEvent, sendJson, sendList } from "./support/fake-api.ts";

const ends: (() => Promise<void>)[] = [];

function reflect(api: FakeApi, limits: Partial<typeof defaultControllerLimits> = {}) {
  const lines: LogLine[] = [];
  const changes: string[] = [];
  const reflector = new Reflector<KubeObject>({
    client: api.client,
    resource: { kind: "GlobalSnapshot", plural: "globalsnapshots" },
    namespace: undefined,
    limits: { ...defaultControllerLimits, backOffMsMin: 20, backOffMsMax: 100, ...limits },
    nowMs: () => performance.now(),
    random: () => 0,
    logger: recorder(lines),
    onChange: (key, now) => changes.push(`${now === undefined ? "-" : "+"}${key}`),
  });
  ends.push(async () => {
    await reflector.stop();
    api.close();
  });
  reflector.start();
  return { reflector, lines, changes };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited 20000 ms for: ${what}`);
    await sleep(5);
  }
}

describe("the copy of the cluster's objects", () => {
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  it("lists in pages, watches from there, and follows additions, changes and removals", async () => {
    const api = await FakeApi.open(({ isWatch, query }, response) => {
      if (!isWatch) {
        if (query.get("continue") === null) sendList(response, "5", ["a"], "page 2");
        else sendList(response, "5", ["b"]);
        return;
      }
      sendEvent(response, "ADDED", object("c", "6"));
      sendEvent(response, "MODIFIED", object("a", "7"));
      sendEvent(response, "BOOKMARK", object("", "8"));
      sendEvent(response, "DELETED", object("b", "9"));
    });
    const { reflector, changes } = reflect(api);
    await until("removal", () => changes.includes("-shop/b"));
    assert.deepEqual(changes, ["+shop/a", "+shop/b", "+shop/c", "+shop/a", "-shop/b"]);
    assert.deepEqual([...reflector.all()].map(({ metadata }) => metadata.name).sort(), ["a", "c"]);
    assert.equal(api.watches[0]?.query.get("resourceVersion"), "5");
    assert.equal(api.watches[0]?.query.get("allowWatchBookmarks"), "true");
  });

  it("goes on where it stood when the server ends the watch", async () => {
    const api = await FakeApi.open(({ isWatch }, response, number) => {
      if (!isWatch) return sendList(response, "5", ["a"]);
      if (number > 1) return;
      sendEvent(response, "BOOKMARK", object("", "42"));
      setTimeout(() => response.end(), 40);
    });
    reflect(api);
    await until("second watch", () => api.watches.length === 2);
    assert.equal(api.watches[1]?.query.get("resourceVersion"), "42");
    assert.equal(api.lists.length, 1);
  });

  for (const how of ["as an event", "as the answer"]) {
    it(`lists anew at once after 410 (${how}), and notices what has gone meanwhile`, async () => {
      const api = await FakeApi.open(({ isWatch }, response, number) => {
        if (!isWatch) return sendList(response, String(number), number === 1 ? ["a", "b"] : ["b", "c"]);
        if (number > 1) return;
        if (how === "as an event") sendEvent(response, "ERROR", gone);
        else sendJson(response, 410, gone);
      });
      const { changes, lines } = reflect(api, { backOffMsMin: 60_000, backOffMsMax: 60_000 });
      await until("second watch", () => api.watches.length === 2);
      assert.deepEqual(changes.slice(2), ["-shop/a", "+shop/b", "+shop/c"]);
      assert.deepEqual(
        lines.map(({ level }) => level),
        ["info"],
      );
    });
  }

  it("begins a list anew when its pages have expired", async () => {
    const api = await FakeApi.open(({ isWatch, query }, response, number) => {
      if (isWatch) return;
      if (query.get("continue") !== null && number === 2) return sendJson(response, 410, gone);
      sendList(response, "5", ["a"], number === 1 ? "page 2" : undefined);
    });
    await reflect(api).reflector.listed;
    assert.equal(api.lists.length, 3);
    assert.equal(api.lists[2]?.query.get("continue"), null);
  });

  it("gives up a watch that is silent, and finds what it did not hear", async () => {
    const api = await FakeApi.open(({ isWatch }, response, number) => {
      if (!isWatch) return sendList(response, String(number), number === 1 ? ["a"] : ["a", "b"]);
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
    });
    const { changes } = reflect(api, { watchSilenceMs: 50 });
    await until("the new object", () => changes.includes("+shop/b"));
  });

  it("lists anew when its time has come, though the watch seems well", async () => {
    const api = await FakeApi.open(({ isWatch, query }, response, number) => {
      if (!isWatch) return sendList(response, String(number), number === 1 ? ["a"] : ["b"]);
      sendEvent(response, "BOOKMARK", object("", "9"));
      setTimeout(() => response.end(), Number(query.get("timeoutSeconds")) * 1_000);
    });
    const { changes } = reflect(api, { relistMs: 500 });
    await until("the new list", () => changes.includes("+shop/b"));
    assert.deepEqual(changes, ["+shop/a", "-shop/a", "+shop/b"]);
  });

  it("makes no storm of a server that ends every watch, and fails every list", async () => {
    const api = await FakeApi.open(({ isWatch }, response, number) => {
      if (isWatch) return response.writeHead(200).end();
      if (number > 1) return sendJson(response, 500, { message: "no" });
      sendList(response, "5", []);
    });
    const { lines } = reflect(api, { backOffMsMin: 50, backOffMsMax: 10_000 });
    await until("five failures", () => lines.length === 5);
    const delays = lines.map(({ fields }) => fields.delayMs);
    assert.deepEqual(delays, [50, 100, 200, 400, 800]);
    assert.ok(api.requests.length <= 8);
  });

  it("rings the alarm once when nothing is heard for too long, and says when that is over", async () => {
    let away = false;
    const api = await FakeApi.open(({ isWatch }, response) => {
      if (away) return void response.destroy();
      if (!isWatch) return sendList(response, "5", []);
      setTimeout(() => response.destroy(), 30);
    });
    const { reflector, lines } = reflect(api, { alarmMs: 200 });
    await reflector.listed;
    away = true;
    const alarms = () => lines.filter(({ level }) => level === "error");
    await until("alarm", () => alarms().length > 0);
    assert.ok(reflector.ageMs >= 200);
    away = false;
    await until("relief", () => lines.some(({ message }) => message === "the API server is heard again"));
    assert.equal(alarms().length, 1);
  });

  it("takes no answer that is larger than its limit", async () => {
    const api = await FakeApi.open((_request, response) => sendJson(response, 200, { x: "y".repeat(10_000) }));
    const { lines } = reflect(api);
    await until("failure", () => lines.length > 0);
    assert.match(String(lines[0]?.fields.error), /more than 4096 bytes/);
  });
});
