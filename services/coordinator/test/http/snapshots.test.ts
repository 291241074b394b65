import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RefusalCode } from "../../src/snapshots.ts";
import { StoreError } from "../../src/store/port.ts";
import { problemOf, serve } from "./support/server.ts";

const start = { method: "POST", url: "/v1/snapshots" } as const;

describe("POST /v1/snapshots", () => {
  it("accepts a request with all its fields and says where the snapshot is", async (t) => {
    const { app, snapshots } = serve(t);
    const answer = await app.inject({
      ...start,
      payload: {
        scope: { namespaces: ["bank"], labelSelector: { "app.kubernetes.io/name": "branch" } },
        initiator: "bank/branch-a",
        timeoutMs: 5_000,
        labels: { why: "incident-7", empty: "" },
        attempts: 2,
      },
    });
    assert.equal(answer.statusCode, 202);
    assert.equal(answer.headers.location, `/v1/snapshots/${answer.json().id}`);
    assert.deepEqual(snapshots.starts, [
      {
        scope: { namespaces: ["bank"], labelSelector: { "app.kubernetes.io/name": "branch" } },
        initiator: "bank/branch-a",
        timeoutMs: 5_000,
        labels: { why: "incident-7", empty: "" },
        attempts: 2,
      },
    ]);
  });

  it("shows zero values and fills the defaults in", async (t) => {
    const { app, snapshots } = serve(t);
    const answer = await app.inject({ ...start, payload: {} });
    assert.equal(answer.json().exact, false);
    assert.equal(answer.json().durationMs, 0);
    assert.deepEqual(snapshots.starts, [{ timeoutMs: 30_000, attempts: 3 }]);
  });

  it("finds the first snapshot when an Idempotency-Key comes again", async (t) => {
    const { app } = serve(t);
    const headers = { "idempotency-key": "deploy~42" };
    const first = await app.inject({ ...start, payload: {}, headers });
    const second = await app.inject({ ...start, payload: {}, headers });
    assert.deepEqual([first.statusCode, second.statusCode], [202, 200]);
    assert.equal(second.headers.location, first.headers.location);
    assert.equal(second.json().id, first.json().id);
  });

  for (const key of ["", " ", "two words", "ä", "x".repeat(129)]) {
    it(`refuses the Idempotency-Key ${JSON.stringify(key.slice(0, 12))}`, async (t) => {
      const { app, snapshots } = serve(t);
      const answer = await app.inject({ ...start, payload: {}, headers: { "idempotency-key": key } });
      assert.equal(problemOf(answer, 400, "Invalid").errors?.[0]?.field, "headers/idempotency-key");
      assert.equal(snapshots.starts.length, 0);
    });
  }

  const refusals: readonly [RefusalCode, number][] = [
    ["TooManySnapshots", 429],
    ["TooSoon", 429],
    ["NotLeading", 503],
    ["StoreUnavailable", 503],
    ["NoProcesses", 409],
    ["UnknownInitiator", 422],
  ];
  for (const [code, status] of refusals) {
    it(`answers ${status} when the coordinator refuses with ${code}`, async (t) => {
      const { app, snapshots } = serve(t);
      snapshots.nextStart = { outcome: "refused", code, message: "Not now, for a reason.", retryAfterMs: 1_001 };
      const answer = await app.inject({ ...start, payload: {} });
      assert.equal(problemOf(answer, status, code).detail, "Not now, for a reason.");
      assert.equal(answer.headers["retry-after"], "2");
    });
  }

  it("gives no Retry-After when the coordinator knows none", async (t) => {
    const { app, snapshots } = serve(t);
    snapshots.nextStart = { outcome: "refused", code: "NoProcesses", message: "Nobody is there." };
    const answer = await app.inject({ ...start, payload: {} });
    problemOf(answer, 409, "NoProcesses");
    assert.equal(answer.headers["retry-after"], undefined);
  });

  const tooMany = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`k${index}`, "v"]));
  const invalid: readonly [body: object, field: string][] = [
    [{ color: "red" }, "body/color"],
    [{ scope: { pods: [] } }, "body/scope/pods"],
    [{ scope: { namespaces: ["Bad_Name"] } }, "body/scope/namespaces/0"],
    [{ scope: { labelSelector: { constructor: "x" } } }, "body/scope/labelSelector/constructor"],
    [{ timeoutMs: 999 }, "body/timeoutMs"],
    [{ timeoutMs: 3_600_001 }, "body/timeoutMs"],
    [{ timeoutMs: "5000" }, "body/timeoutMs"],
    [{ timeoutMs: null }, "body/timeoutMs"],
    [{ attempts: 0 }, "body/attempts"],
    [{ attempts: 11 }, "body/attempts"],
    [{ attempts: 1.5 }, "body/attempts"],
    [{ initiator: "no-slash" }, "body/initiator"],
    [{ labels: tooMany }, "body/labels"],
    [{ labels: { "-bad": "x" } }, "body/labels/-bad"],
    [{ labels: { "a/b/c": "x" } }, "body/labels/a~1b~1c"],
    [{ labels: { constructor: "x" } }, "body/labels/constructor"],
    [{ labels: { good: "-bad-" } }, "body/labels/good"],
    [{ labels: { good: "x".repeat(64) } }, "body/labels/good"],
    [{ labels: { good: 7 } }, "body/labels/good"],
    [[], "body"],
  ];
  for (const [body, field] of invalid) {
    it(`names ${field} in ${JSON.stringify(body).slice(0, 60)}`, async (t) => {
      const { app, snapshots } = serve(t);
      const answer = await app.inject({ ...start, payload: body });
      const problem = problemOf(answer, 400, "Invalid");
      assert.deepEqual(
        problem.errors?.map((each) => each.field),
        [field],
      );
      assert.equal(snapshots.starts.length, 0);
    });
  }

  for (const body of [
    '{"__proto__":{"attempts":2}}',
    '{"constructor":{"prototype":{}}}',
    '{"labels":{"__proto__":"x"}}',
    "{",
    "",
  ]) {
    it(`refuses the body ${JSON.stringify(body)}`, async (t) => {
      const { app, snapshots } = serve(t);
      const answer = await app.inject({ ...start, payload: body, headers: { "content-type": "application/json" } });
      assert.equal(answer.statusCode, 400);
      assert.equal(snapshots.starts.length, 0);
    });
  }
});

describe("GET /v1/snapshots", () => {
  it("filters by labels, phases and times", async (t) => {
    const { app, snapshots } = serve(t);
    const query = new URLSearchParams([
      ["label", "app=bank"],
      ["label", "example.com/team=a.b"],
      ["phase", "Completed"],
      ["phase", "Failed"],
      ["since", "2026-01-01T01:00:00+01:00"],
      ["before", "2026-01-02T00:00:00Z"],
      ["limit", "7"],
    ]);
    const answer = await app.inject(`/v1/snapshots?${query}`);
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(snapshots.queries, [
      {
        limit: 7,
        labels: { app: "bank", "example.com/team": "a.b" },
        phases: ["Completed", "Failed"],
        createdSince: "2026-01-01T00:00:00.000Z",
        createdBefore: "2026-01-02T00:00:00.000Z",
      },
    ]);
  });

  it("gives what matches", async (t) => {
    const { app } = serve(t);
    await app.inject({ ...start, payload: { labels: { app: "shop" } } });
    const answer = await app.inject("/v1/snapshots?label=app%3Dbank");
    assert.deepEqual(
      answer.json().snapshots.map((each: { id: string }) => each.id),
      ["01JBANK"],
    );
    assert.equal("next" in answer.json(), false);
  });

  it("walks over all pages by the cursor", async (t) => {
    const { app } = serve(t);
    for (let started = 0; started < 4; started += 1) {
      await app.inject({ ...start, payload: {} });
    }
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = (await app.inject(`/v1/snapshots?limit=2${cursor}`)).json();
      seen.push(...page.snapshots.map((each: { id: string }) => each.id));
      cursor = page.next === undefined ? "" : `&cursor=${encodeURIComponent(page.next)}`;
    } while (cursor !== "");
    assert.deepEqual(seen, ["snap-5", "snap-4", "snap-3", "snap-2", "01JBANK"]);
  });

  it("takes 50 a page by default", async (t) => {
    const { app, snapshots } = serve(t);
    await app.inject("/v1/snapshots");
    assert.deepEqual(snapshots.queries, [{ limit: 50 }]);
  });

  const invalid: readonly [query: string, field: string][] = [
    ["limit=0", "querystring/limit"],
    ["limit=501", "querystring/limit"],
    ["limit=ten", "querystring/limit"],
    ["limit=1&limit=2", "querystring/limit"],
    ["phase=Done", "querystring/phase/0"],
    ["label=novalue", "querystring/label/0"],
    ["label=constructor%3Dx", "querystring/label/0"],
    ["label=a%3D1&label=a%3D2", "querystring/label"],
    ["since=yesterday", "querystring/since"],
    ["before=2026-13-01T00:00:00Z", "querystring/before"],
    ["since=2026-06-30T23:59:60Z", "querystring/since"],
    ["cursor=bogus", "querystring/cursor"],
    ["colour=red", "querystring/colour"],
  ];
  for (const [query, field] of invalid) {
    it(`refuses ${query}`, async (t) => {
      const { app } = serve(t);
      const problem = problemOf(await app.inject(`/v1/snapshots?${query}`), 400, "Invalid");
      assert.ok(
        problem.errors?.some((each) => each.field === field),
        JSON.stringify(problem.errors),
      );
    });
  }
});

describe("one snapshot", () => {
  it("is given as it is stored", async (t) => {
    const { app, snapshot } = serve(t);
    const answer = await app.inject(`/v1/snapshots/${snapshot.id}`);
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), JSON.parse(JSON.stringify(snapshot)));
  });

  it("is aborted through its custom method", async (t) => {
    const { app } = serve(t);
    const { id } = (await app.inject({ ...start, payload: {} })).json();
    for (const url of [`/v1/snapshots/${id}:abort`]) {
      const answer = await app.inject({ method: "POST", url });
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.json().phase, "Aborted");
    }
    problemOf(await app.inject({ method: "POST", url: `/v1/snapshots/${id}%3Aabort` }), 409, "SnapshotEnded");
    problemOf(await app.inject({ method: "POST", url: "/v1/snapshots/nobody:abort" }), 404, "SnapshotNotFound");
    problemOf(await app.inject({ method: "POST", url: `/v1/snapshots/${id}:explode` }), 404, "SnapshotNotFound");
    problemOf(await app.inject({ method: "POST", url: "/v1/snapshots/:abort" }), 404, "SnapshotNotFound");
  });

  it("tells which methods an id and its abort have", async (t) => {
    const { app } = serve(t);
    const onId = await app.inject({ method: "POST", url: "/v1/snapshots/abc" });
    problemOf(onId, 405, "MethodNotAllowed");
    assert.equal(onId.headers.allow, "GET, HEAD, DELETE");
    const onAbort = await app.inject({ method: "GET", url: "/v1/snapshots/abc:abort" });
    problemOf(onAbort, 405, "MethodNotAllowed");
    assert.equal(onAbort.headers.allow, "POST");
  });

  it("is deleted when it has ended", async (t) => {
    const { app, snapshot } = serve(t);
    const url = `/v1/snapshots/${snapshot.id}`;
    const removed = await app.inject({ method: "DELETE", url });
    assert.equal(removed.statusCode, 204);
    assert.equal(removed.body, "");
    problemOf(await app.inject({ method: "DELETE", url }), 404, "SnapshotNotFound");
    const { id } = (await app.inject({ ...start, payload: {} })).json();
    problemOf(await app.inject({ method: "DELETE", url: `/v1/snapshots/${id}` }), 409, "SnapshotRunning");
  });

  for (const id of [
    "unknown",
    "a.b",
    "a%2Fb",
    "..%2F..%2Fetc",
    "%00",
    "x".repeat(65),
    "x".repeat(2_000),
    "%F0%9F%92%A3",
  ]) {
    it(`is not there by the id ${id.slice(0, 20)}`, async (t) => {
      const { app, snapshots } = serve(t);
      if (id !== "unknown") {
        snapshots.failure = new Error("a bad id must not come this far");
      }
      for (const request of [
        { method: "GET", url: `/v1/snapshots/${id}` },
        { method: "DELETE", url: `/v1/snapshots/${id}` },
        { method: "POST", url: `/v1/snapshots/${id}:abort` },
        { method: "GET", url: `/v1/snapshots/${id}/state` },
        { method: "GET", url: `/v1/snapshots/${id}/channels/c` },
        { method: "GET", url: `/v1/snapshots/${id}/processes/p/state` },
      ] as const) {
        const answer = await app.inject(request);
        assert.equal(answer.statusCode, 404, `${request.method} ${request.url}: ${answer.body}`);
      }
    });
  }
});

describe("a store that fails", () => {
  it("is a 503 when it does not answer", async (t) => {
    const { app, snapshots } = serve(t);
    snapshots.failure = new StoreError("StoreTimeout", "redis://secret:password@10.0.0.1 timed out");
    const answer = await app.inject("/v1/snapshots/01JBANK");
    const problem = problemOf(answer, 503, "StoreUnavailable");
    assert.ok(answer.headers["retry-after"]);
    assert.doesNotMatch(JSON.stringify(problem), /password|10\.0\.0\.1/);
  });

  it("is a 500 when its data is damaged", async (t) => {
    const { app, snapshots } = serve(t);
    snapshots.failure = new StoreError("StoreCorrupt", "bad checksum at /var/lib/cutline/x");
    assert.doesNotMatch(problemOf(await app.inject("/v1/snapshots"), 500, "StateCorrupt").detail, /var/);
  });
});
