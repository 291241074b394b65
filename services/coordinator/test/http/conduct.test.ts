import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { type LogLine, recorder } from "../support/recorder.ts";
import { sendSlowly, slowBeginnings } from "../support/slow-sender.ts";
import { emptyTopology } from "./support/fakes.ts";
import { listen, problemOf, serve } from "./support/server.ts";

describe("what no route takes", () => {
  it("is a 404 problem for an unknown path", async (t) => {
    const { app } = serve(t);
    const problem = problemOf(await app.inject("/v2/snapshots?secret=1"), 404, "NotFound");
    assert.equal(problem.instance, "/v2/snapshots");
  });

  it("is a 400 problem for a path that is no URL", async (t) => {
    const { app } = serve(t);
    problemOf(await app.inject("/v1/snapshots/%zz"), 400, "BadUrl");
  });

  for (const [method, url, allow] of [
    ["PUT", "/v1/snapshots", "POST, GET, HEAD"],
    ["PATCH", "/v1/snapshots/abc", "GET, HEAD, DELETE"],
    ["HEAD", "/v1/snapshots/abc/state", "GET"],
    ["DELETE", "/v1/snapshots/abc/processes/a%2Fb/state", "GET"],
    ["POST", "/v1/topology", "GET, HEAD"],
    ["OPTIONS", "/healthz", "GET, HEAD"],
  ] as const) {
    it(`is a 405 with Allow for ${method} ${url}`, async (t) => {
      const { app } = serve(t);
      const answer = await app.inject({ method, url });
      assert.equal(answer.statusCode, 405);
      assert.equal(answer.headers.allow, allow);
    });
  }

  it("is a 406 when Accept allows nothing there is", async (t) => {
    const { app } = serve(t);
    for (const [url, accept] of [
      ["/v1/snapshots", "text/html"],
      ["/v1/snapshots/01JBANK/state", "application/xml"],
      ["/v1/snapshots", "application/json;q=0, text/*"],
      ["/v1/snapshots/01JBANK/processes/bank%2Fbranch-b/state", "application/json"],
    ] as const) {
      problemOf(await app.inject({ url, headers: { accept } }), 406, "NotAcceptable");
    }
  });

  it("is a 413 that names the limit and the size", async (t) => {
    const { app, snapshots } = serve(t, { limits: { bodyBytesMax: 1_000 } });
    const payload = { labels: { a: "x".repeat(2_000) } };
    const answer = await app.inject({ method: "POST", url: "/v1/snapshots", payload });
    const { detail } = problemOf(answer, 413, "BodyTooLarge");
    assert.match(detail, /1000/);
    assert.match(detail, new RegExp(String(JSON.stringify(payload).length)));
    assert.equal(snapshots.starts.length, 0);
  });

  it("takes 64 KiB by default, and not one byte more", async (t) => {
    const { app } = serve(t);
    const post = (payload: string) =>
      app.inject({ method: "POST", url: "/v1/snapshots", payload, headers: { "content-type": "application/json" } });
    assert.equal((await post(`{}${" ".repeat(65_534)}`)).statusCode, 202);
    problemOf(await post(`{}${" ".repeat(65_535)}`), 413, "BodyTooLarge");
  });

  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "nonsense",
  ]) {
    it(`is a 415 for ${type}`, async (t) => {
      const { app } = serve(t);
      const headers = { "content-type": type };
      problemOf(
        await app.inject({ method: "POST", url: "/v1/snapshots", payload: "{}", headers }),
        415,
        "UnsupportedMediaType",
      );
    });
  }

  it("is a 500 that tells nothing of the inside, and a log line that does", async (t) => {
    const lines: unknown[] = [];
    const log = (fields: unknown) => void lines.push(fields);
    const logger = { trace: log, debug: () => {}, info: log, warn: log, error: log, child: () => logger };
    const { app, snapshots } = serve(t, { logger });
    snapshots.failure = new TypeError("cannot read secret of undefined");
    const problem = problemOf(await app.inject("/v1/topology"), 500, "Internal");
    assert.doesNotMatch(JSON.stringify(problem), /secret|TypeError|\.ts/);
    assert.equal((lines[0] as { error: Error }).error, snapshots.failure);
  });

  it("is a 503 when the answer takes too long", async (t) => {
    const { app, snapshots } = serve(t, { limits: { handlerTimeoutMs: 20 } });
    snapshots.get = () => new Promise(() => {});
    const answer = await app.inject("/v1/snapshots/01JBANK");
    problemOf(answer, 503, "TimedOut");
    assert.ok(answer.headers["retry-after"]);
  });

  it("is a problem too when it is not HTTP, or its headers are too large", async (t) => {
    const { app } = serve(t);
    const port = await listen(app);
    for (const [bytes, status] of [
      ["NOT HTTP AT ALL\r\n\r\n", 400],
      [`GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      const socket = connect(port, "127.0.0.1");
      socket.write(bytes);
      const answer = await text(socket);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
      const [, body = ""] = answer.split("\r\n\r\n");
      assert.equal(JSON.parse(body).status, status);
    }
  });

  for (const [what, beginning] of Object.entries(slowBeginnings)) {
    it(`lets nobody hold a connection who sends ${what}`, { timeout: 15_000 }, async (t) => {
      const { app } = serve(t, { limits: { headersTimeoutMs: 200, requestTimeoutMs: 300 } });
      await sendSlowly(await listen(app), "/v1/snapshots", beginning, false);
    });
  }

  it("has the configured time-outs and connection limit", async (t) => {
    const limits = {
      headersTimeoutMs: 31,
      requestTimeoutMs: 41,
      idleTimeoutMs: 51,
      keepAliveTimeoutMs: 61,
      connectionsMax: 7,
    };
    const { server } = serve(t, { limits }).app;
    assert.deepEqual(
      [server.headersTimeout, server.requestTimeout, server.timeout, server.keepAliveTimeout, server.maxConnections],
      [31, 41, 51, 61, 7],
    );
  });
});

describe("operation", () => {
  it("is alive whatever else is wrong", async (t) => {
    const { app, snapshots } = serve(t);
    snapshots.failure = new Error("all is broken");
    assert.equal((await app.inject("/healthz")).statusCode, 200);
  });

  it("is ready, or says why not", async (t) => {
    const { app, snapshots } = serve(t);
    assert.deepEqual((await app.inject("/readyz")).json(), { status: "ready" });
    snapshots.ready = { outcome: "notReady", reasons: ["another replica leads"] };
    assert.deepEqual(problemOf(await app.inject("/readyz"), 503, "NotReady").reasons, ["another replica leads"]);
  });

  it("serves as a replica without leading, and not without its store", async (t) => {
    const { app, snapshots } = serve(t);
    assert.deepEqual((await app.inject("/readyz/replica")).json(), { status: "ready" });
    snapshots.ready = { outcome: "standby", reasons: ["this replica does not lead"] };
    assert.deepEqual((await app.inject("/readyz/replica")).json(), { status: "standby" });
    assert.equal((await app.inject("/readyz")).statusCode, 503);
    snapshots.ready = { outcome: "notReady", reasons: ["the store does not answer"] };
    const { reasons } = problemOf(await app.inject("/readyz/replica"), 503, "NotReady");
    assert.deepEqual(reasons, ["the store does not answer"]);
  });

  it("logs when its readiness changes, and not every probe", async (t) => {
    const lines: LogLine[] = [];
    const { app, snapshots } = serve(t, { logger: recorder(lines) });
    for (const ready of [{ outcome: "notReady", reasons: ["it starts"] }, { outcome: "ready" }] as const) {
      snapshots.ready = ready;
      for (let probe = 0; probe < 3; probe += 1) await app.inject("/readyz");
    }
    assert.deepEqual(
      lines.filter(({ level }) => level !== "debug").map(({ level, message, fields }) => [level, message, fields]),
      [
        ["info", "readiness changed", { outcome: "notReady", reasons: ["it starts"] }],
        ["info", "readiness changed", { outcome: "ready" }],
      ],
    );
  });

  it("shows metrics when it has some", async (t) => {
    const { app } = serve(t, { metrics: { render: async () => "cutline_up 1\n" } });
    const accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    const answer = await app.inject({ url: "/metrics", headers: { accept } });
    assert.equal(answer.body, "cutline_up 1\n");
    assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0.0.4/);
    problemOf(await serve(t).app.inject("/metrics"), 404, "NotFound");
  });

  it("shows the topology and its processes", async (t) => {
    const { app, snapshots } = serve(t);
    const process = {
      id: "bank/branch-a",
      incarnation: "i1",
      agentVersion: "0.1.0",
      captureSource: "participant",
      authorities: ["branch-a:50051"],
      labels: {},
      attachedAt: "2026-01-01T00:00:00Z",
      phase: "attached",
      ready: false,
      reasons: [{ code: "NoParticipant", message: "The application does not answer." }],
    } as const;
    snapshots.view = { ...emptyTopology, processes: [process] };
    assert.deepEqual((await app.inject("/v1/topology")).json(), snapshots.view);
    assert.deepEqual((await app.inject("/v1/processes")).json(), { processes: [process] });
  });
});

describe("closing", () => {
  it("lets a running answer end, and takes nothing new", async (t) => {
    const { app, snapshots, snapshot } = serve(t);
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    snapshots.get = async () => {
      arrived.resolve();
      await gate.promise;
      return snapshot;
    };
    const port = await listen(app);
    const running = fetch(`http://127.0.0.1:${port}/v1/snapshots/01JBANK`);
    await arrived.promise;
    const closed = app.close();
    gate.resolve();
    assert.equal((await running).status, 200);
    await closed;
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
  });

  it("cuts what still runs after closeGraceMs", async (t) => {
    const { app, snapshots } = serve(t, { limits: { closeGraceMs: 20 } });
    const arrived = Promise.withResolvers<void>();
    snapshots.get = () => {
      arrived.resolve();
      return new Promise(() => {});
    };
    const port = await listen(app);
    const running = fetch(`http://127.0.0.1:${port}/v1/snapshots/01JBANK`);
    const cut = assert.rejects(running);
    await arrived.promise;
    await app.close();
    await cut;
  });
});
