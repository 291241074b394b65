import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { serve } from "./support/server.ts";

const fields = ["scope", "namespaces", "labelSelector", "initiator", "timeoutMs", "labels", "attempts", "constructor"];
/** Bodies that come near to being right, so that more than the first check is met. */
const body = fc.oneof(
  fc.jsonValue(),
  fc.dictionary(
    fc.constantFrom(...fields),
    fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...fields), fc.jsonValue())),
  ),
);

describe("arbitrary requests", () => {
  it("never give a 5xx, whatever the body is", async (t) => {
    const { app } = serve(t);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          body.map((value) => JSON.stringify(value)),
          fc.string(),
        ),
        async (payload) => {
          const headers = { "content-type": "application/json" };
          const answer = await app.inject({ method: "POST", url: "/v1/snapshots", payload, headers });
          assert.ok([202, 400].includes(answer.statusCode), `${answer.statusCode} for ${payload}: ${answer.body}`);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("never give a 5xx, whatever the query and the path are", async (t) => {
    const { app } = serve(t);
    const name = fc.constantFrom("label", "phase", "since", "before", "limit", "cursor", "other", "__proto__");
    const query = fc.array(fc.tuple(name, fc.string())).map((pairs) => new URLSearchParams(pairs).toString());
    const path = fc
      .array(fc.oneof(fc.string(), fc.constantFrom("state", "processes", "channels", "01JBANK", ":abort")), {
        maxLength: 4,
      })
      .map((segments) => segments.map((each) => `/${encodeURIComponent(each)}`).join(""));
    const method = fc.constantFrom("GET", "POST", "DELETE", "PATCH", "HEAD");
    await fc.assert(
      fc.asyncProperty(method, path, query, async (verb, tail, search) => {
        const answer = await app.inject({ method: verb as "GET", url: `/v1/snapshots${tail}?${search}` });
        assert.ok(answer.statusCode < 500, `${answer.statusCode} for ${verb} ${tail}?${search}: ${answer.body}`);
      }),
      { numRuns: 300 },
    );
  });
});
