import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { silentLogger } from "@cutline/runtime";
import type { Access, AccessOutcome, Permission } from "../../src/http/access.ts";
import { parseTokens, TokenFileAccess } from "../../src/kubernetes/access/token-file.ts";
import { type LogLine, recorder } from "../support/recorder.ts";
import { listen, problemOf, serve } from "./support/server.ts";

const tokens = { read: "r".repeat(32), operate: "o".repeat(32), admin: "a".repeat(32) };
const file = `# who may what
read    viewer  ${tokens.read}
operate backup  ${tokens.operate}

admin   root    sha256:${createHash("sha256").update(tokens.admin).digest("hex")}
`;

async function withTokens(t: TestContext, text = file) {
  const folder = await mkdtemp(join(tmpdir(), "cutline-access-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "tokens");
  await writeFile(path, text);
  const lines: LogLine[] = [];
  const logger = recorder(lines);
  const access = await TokenFileAccess.open({ file: path, rereadMs: 60_000, logger });
  const served = serve(t, { access, logger, metrics: { render: () => "metrics" } });
  const ask = (method: "GET" | "POST" | "DELETE", url: string, token?: string) =>
    served.app.inject({
      method,
      url,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      ...(method === "POST" && !url.endsWith(":abort") && { payload: {} }),
    });
  const audit = () => lines.filter(({ message }) => message === "audit").map(({ fields }) => fields);
  return { ...served, access, path, lines, ask, audit };
}

interface Operation {
  readonly security?: readonly object[];
  readonly responses: object;
}

/** Every call, and the least role that may make it. */
const calls: readonly (readonly ["GET" | "POST" | "DELETE", string, "open" | keyof typeof tokens])[] = [
  ["GET", "/healthz", "open"],
  ["GET", "/readyz", "open"],
  ["GET", "/openapi.json", "open"],
  ["GET", "/docs/", "open"],
  ["GET", "/metrics", "read"],
  ["GET", "/v1/topology", "read"],
  ["GET", "/v1/processes", "read"],
  ["GET", "/v1/snapshots", "read"],
  ["GET", "/v1/snapshots/01JBANK", "read"],
  ["POST", "/v1/snapshots", "operate"],
  ["POST", "/v1/snapshots/01JBANK:abort", "operate"],
  ["GET", "/v1/snapshots/01JBANK/state", "operate"],
  ["GET", "/v1/snapshots/01JBANK/processes/bank%2Fbranch-a/state", "operate"],
  ["GET", "/v1/snapshots/01JBANK/channels/link1%3A0", "operate"],
  ["DELETE", "/v1/snapshots/01JBANK", "admin"],
];

describe("the REST API with tokens", () => {
  for (const [method, url, needed] of calls) {
    it(`${method} ${url} takes ${needed === "open" ? "no token" : `the role ${needed}`}`, async (t) => {
      const { ask } = await withTokens(t);
      if (needed === "open") {
        assert.equal((await ask(method, url)).statusCode, 200);
        return;
      }
      const nobody = await ask(method, url);
      problemOf(nobody, 401, "Unauthenticated");
      assert.equal(nobody.headers["www-authenticate"], 'Bearer realm="cutline"');
      problemOf(await ask(method, url, "x".repeat(32)), 401, "Unauthenticated");
      let mayCall = false;
      for (const role of ["read", "operate", "admin"] as const) {
        mayCall ||= role === needed;
        const answer = await ask(method, url, tokens[role]);
        if (mayCall) assert.ok(answer.statusCode !== 401 && answer.statusCode !== 403, `${role}: ${answer.body}`);
        else problemOf(answer, 403, "Forbidden");
        // What the first one did must not be what the next one finds.
        if (mayCall) break;
      }
    });
  }

  it("every route that is published is in the list above", async (t) => {
    const { app } = await withTokens(t);
    const { paths } = (await app.inject("/openapi.json")).json() as { paths: Record<string, Record<string, object>> };
    const published = Object.entries(paths).flatMap(([path, item]) =>
      Object.values(item).map((operation) => ({ path, ...(operation as Operation) })),
    );
    const open = published.filter(({ path }) => path === "/healthz" || path.startsWith("/readyz"));
    assert.equal(published.length - open.length, calls.filter(([, , needed]) => needed !== "open").length);
    for (const operation of published) {
      const isOpen = open.includes(operation);
      assert.deepEqual(operation.security, isOpen ? [] : undefined, operation.path);
      for (const status of isOpen ? [] : ["401", "403", "503"])
        assert.ok(status in operation.responses, operation.path);
    }
  });

  it("the OpenAPI document says how to show a token", async (t) => {
    const { app } = await withTokens(t);
    const { components, security } = (await app.inject("/openapi.json")).json();
    assert.equal(components.securitySchemes.bearer.scheme, "bearer");
    assert.deepEqual(security, [{ bearer: [] }]);
    const open = (await serve(t).app.inject("/openapi.json")).json();
    assert.equal(open.security, undefined);
  });

  it("takes the token from the header only, whatever its case, and no other scheme", async (t) => {
    const { app, ask } = await withTokens(t);
    const get = (authorization: string) => app.inject({ url: "/v1/snapshots", headers: { authorization } });
    assert.equal((await get(`bearer ${tokens.read}`)).statusCode, 200);
    for (const wrong of [`Basic ${tokens.read}`, tokens.read, "Bearer", `Bearer ${tokens.read} x`]) {
      problemOf(await get(wrong), 401, "Unauthenticated");
    }
    problemOf(await ask("GET", `/v1/topology?access_token=${tokens.read}`), 401, "Unauthenticated");
  });

  it("a HEAD needs what its GET needs", async (t) => {
    const { app } = await withTokens(t);
    assert.equal((await app.inject({ method: "HEAD", url: "/v1/snapshots/01JBANK" })).statusCode, 401);
  });
});

describe("the audit log", () => {
  it("has one line for each change and each reading of a state: who, what, which, and how it ended", async (t) => {
    const { ask, audit, lines } = await withTokens(t);
    const started = await ask("POST", "/v1/snapshots", tokens.operate);
    assert.equal(started.statusCode, 202);
    const { id } = started.json();
    await ask("GET", "/v1/snapshots/01JBANK/state", tokens.operate);
    await ask("GET", "/v1/snapshots/01JBANK/processes/bank%2Fbranch-a/state", tokens.operate);
    await ask("GET", "/v1/snapshots/01JBANK/channels/link1%3A0", tokens.operate);
    await ask("GET", "/v1/snapshots/none/state", tokens.operate);
    await ask("POST", `/v1/snapshots/${id}:abort`, tokens.operate);
    await ask("DELETE", `/v1/snapshots/${id}`, tokens.operate);
    await ask("DELETE", `/v1/snapshots/${id}`, tokens.admin);
    await ask("GET", "/v1/snapshots", tokens.read);
    const told = audit().map(({ action, caller, snapshotId, part, outcome, status }) =>
      [action, caller, snapshotId === id ? "it" : snapshotId, part, outcome, status].join(" "),
    );
    assert.deepEqual(told, [
      "snapshot.start backup it  done 202",
      "state.read backup 01JBANK all done 200",
      "state.read backup 01JBANK bank/branch-a done 200",
      "state.read backup 01JBANK link1:0 done 200",
      "state.read backup none all refused 404",
      "snapshot.abort backup it  done 200",
      "snapshot.delete backup it  denied 403",
      "snapshot.delete root it  done 204",
    ]);
    const text = JSON.stringify(lines);
    for (const token of Object.values(tokens)) assert.ok(!text.includes(token));
    assert.ok(!text.includes("balance"), "no payload");
  });

  it("has a reading whose reader goes away", async (t) => {
    const { app, audit } = await withTokens(t);
    const port = await listen(app);
    const gone = new AbortController();
    const headers = { authorization: `Bearer ${tokens.operate}` };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/snapshots/01JBANK/state`, { headers, signal: gone.signal });
    gone.abort();
    await assert.rejects(answer.text());
    assert.equal(audit().length, 1);
  });

  it("has one who tries without a token once a minute", async (t) => {
    const { ask, audit } = await withTokens(t);
    for (let count = 0; count < 5; count += 1) await ask("GET", "/v1/snapshots/01JBANK/state");
    const [line, ...more] = audit();
    assert.equal(line?.outcome, "denied");
    assert.deepEqual(more, []);
  });

  it("is written when access is open, too", async (t) => {
    const lines: LogLine[] = [];
    const { app } = serve(t, { logger: recorder(lines) });
    await app.inject("/v1/snapshots/01JBANK/state");
    const [line] = lines.filter(({ message }) => message === "audit");
    assert.equal(line?.fields.caller, "anyone");
  });
});

describe("when nobody can say who calls", () => {
  it("answers 503 with Retry-After, and lets nobody through", async (t) => {
    const asked: Permission[] = [];
    const access: Access = {
      isOpen: false,
      async check(_token, permission): Promise<AccessOutcome> {
        asked.push(permission);
        return { outcome: "unknown", code: "KubernetesUnavailable", message: "It is away.", retryAfterMs: 2_000 };
      },
    };
    const { app, snapshots } = serve(t, { access, logger: silentLogger });
    const answer = await app.inject({ method: "POST", url: "/v1/snapshots", payload: {} });
    problemOf(answer, 503, "KubernetesUnavailable");
    assert.equal(answer.headers["retry-after"], "2");
    assert.deepEqual(snapshots.starts, []);
    assert.deepEqual(asked, [{ on: "snapshots", verb: "create" }]);
  });
});

describe("the file of tokens", () => {
  it("is read again; a token that is gone is refused, and a file that is wrong changes nothing", async (t) => {
    const { ask, access, path, lines } = await withTokens(t);
    const ok = async (token: string) => (await ask("GET", "/v1/snapshots", token)).statusCode === 200;
    assert.ok(await ok(tokens.read));
    await writeFile(path, `read viewer ${"n".repeat(32)}\n`);
    await access.look();
    assert.ok(!(await ok(tokens.read)));
    assert.ok(await ok("n".repeat(32)));
    await writeFile(path, "read viewer\n");
    await access.look();
    await access.look();
    assert.ok(await ok("n".repeat(32)));
    assert.equal(lines.filter(({ message }) => message === "new tokens not used").length, 1);
    await writeFile(path, "");
    await access.look();
    assert.ok(!(await ok("n".repeat(32))), "an empty file lets nobody in");
  });

  for (const [what, text, message] of [
    ["too few words", "read viewer", /line 1 is not ROLE NAME TOKEN/],
    ["an unknown role", `# x\nowner me ${"x".repeat(32)}`, /line 2 has a role that is none of read, operate, admin/],
    ["a short token", "read me secret", /line 1 has a token of less than 22 visible characters/],
    ["a hash that is cut off", "read me sha256:abc", /line 1 has a token of less than 22/],
    ["the same token twice", `read a ${"x".repeat(32)}\nadmin b ${"x".repeat(32)}`, /line 2 repeats a token/],
    ["a name with odd characters", `read a"b ${"x".repeat(32)}`, /line 1 has a name/],
  ] as const) {
    it(`with ${what} is refused, and quoted nowhere`, () => {
      assert.throws(
        () => parseTokens("FILE", text),
        (error: Error) => {
          assert.match(error.message, message);
          assert.ok(!error.message.includes("secret") && !error.message.includes("x".repeat(32)));
          return true;
        },
      );
    });
  }
});
