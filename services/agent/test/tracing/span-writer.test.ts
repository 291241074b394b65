import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { silentLogger } from "@cutline/runtime";
import { CallBook } from "../../src/metrics/call-book.ts";
import { SpanWriter } from "../../src/tracing/span-writer.ts";
import { parseTraceParent } from "../../src/tracing/trace-parent.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parentId = "00f067aa0ba902b7";
const sampled = `00-${traceId}-${parentId}-01`;

interface Span {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly spanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: object;
}

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A collector that answers with this status. */
async function startCollector(status: number): Promise<{ readonly url: string; readonly spans: Span[] }> {
  const spans: Span[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    for (const { scopeSpans } of JSON.parse(body).resourceSpans) spans.push(...scopeSpans[0].spans);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans };
}

function write(url: string, limits = {}) {
  const book = new CallBook();
  const writer = new SpanWriter({ url, processId: "bank/a", version: "0.1.0", limits, logger: silentLogger });
  book.onCallOver = writer.callOver;
  writer.start();
  const call = (traceparent: string | undefined, status: string) => {
    const headers = traceparent === undefined ? [] : ["traceparent", traceparent];
    const counted = book.begin("outbound", "bank/b", "b:9000", "/bank.Bank/Read", headers);
    counted.answered(["grpc-status", status]);
    counted.close({ sentBytes: 0, receivedBytes: 0 });
  };
  return { writer, call };
}

describe("parseTraceParent", () => {
  it("takes what is valid and sampled", () => {
    assert.deepEqual(parseTraceParent(sampled), { traceId, spanId: parentId });
    assert.deepEqual(parseTraceParent(`cc-${traceId}-${parentId}-09-more`), { traceId, spanId: parentId });
    for (const refused of [
      undefined,
      "",
      `00-${traceId}-${parentId}-00`,
      `00-${traceId}-${parentId}-01-more`,
      `ff-${traceId}-${parentId}-01`,
      `00-${"0".repeat(32)}-${parentId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId.toUpperCase()}-${parentId}-01`,
    ]) {
      assert.equal(parseTraceParent(refused), undefined, refused);
    }
  });
});

describe("SpanWriter", () => {
  it("writes one span for each sampled call, as a child of its caller's", async () => {
    const { url, spans } = await startCollector(200);
    const { writer, call } = write(url);
    const beforeMs = Date.now();
    call(sampled, "0");
    call(sampled, "14");
    call(undefined, "0");
    call(`00-${traceId}-${parentId}-00`, "0");
    await writer.stop();
    assert.deepEqual(
      spans.map(({ traceId, parentSpanId, name, kind, status }) => ({ traceId, parentSpanId, name, kind, status })),
      [{}, { code: 2, message: "UNAVAILABLE" }].map((status) => ({
        traceId,
        parentSpanId: parentId,
        name: "bank.Bank/Read",
        kind: 3,
        status,
      })),
    );
    assert.notEqual(spans[0]?.spanId, spans[1]?.spanId);
    for (const { spanId, startTimeUnixNano, endTimeUnixNano } of spans) {
      assert.match(spanId, /^[0-9a-f]{16}$/);
      assert.ok(BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano));
      assert.ok(Math.abs(Number(BigInt(startTimeUnixNano) / 1_000_000n) - beforeMs) < 60_000);
    }
    assert.deepEqual([writer.sent, writer.dropped], [2, 0]);
  });

  it("drops and counts what the collector does not take, and what is too much", async () => {
    const { url } = await startCollector(503);
    const { writer, call } = write(url, { waitingMax: 3 });
    for (let i = 0; i < 5; i += 1) call(sampled, "0");
    assert.equal(writer.dropped, 2);
    await writer.stop();
    assert.deepEqual([writer.sent, writer.dropped], [0, 5]);
  });
});
