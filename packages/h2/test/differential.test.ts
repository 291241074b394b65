import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type CallScript, callScript, play } from "./differential/traffic.ts";
import { lean, nodeHttp2 } from "./support/both.ts";

const pairs = [
  [lean, nodeHttp2],
  [nodeHttp2, lean],
  [lean, lean],
] as const;

/**
 * No low limit of streams: node:http2 counts a stream that has ended until its objects are gone, and refuses (with
 * ENHANCE_YOUR_CALM) the next one of a client that keeps to the limit.
 */
const limits = fc.constantFrom(
  {},
  { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 },
  { streamWindowBytes: 100_000 },
);

/** Its end is written before the connection is up: it may stand on HEADERS, or on DATA. */
const withoutBody: CallScript = {
  requestHeaders: [],
  request: [{ kind: "write", bytes: 0 }],
  requestEnd: "end",
  answerHeaders: [],
  answer: [],
  answerEnd: { trailers: ["grpc-status", "0"] },
};

describe("differential: random calls are seen alike by everybody", () => {
  for (const [server, client] of pairs) {
    it(`${server.name} serves ${client.name} as node:http2 serves itself`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(callScript, { minLength: 1, maxLength: 8 }), limits, async (scripts, some) => {
          const reference = await play(nodeHttp2, nodeHttp2, scripts, some);
          assert.deepEqual(await play(server, client, scripts, some), reference);
        }),
        { numRuns: 25, examples: [[[withoutBody], {}]] },
      );
    });
  }
});
