import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { startGrpcServer, until } from "@cutline/h2/testing";
import * as grpc from "@grpc/grpc-js";
import { TestCoordinator } from "../control/support/coordinator.ts";
import { startAgent, unary } from "./agent.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parentId = "00f067aa0ba902b7";
const path = "/test.Service/Unary";
const ok = {};
const unimplemented = { code: 2, message: "UNIMPLEMENTED" };
const [server, client] = [2, 3];

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

interface Span {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly spanId: string;
  readonly name: string;
  readonly kind: number;
  readonly status: object;
  /** `service.name` of the agent. */
  readonly by: string;
}

async function startCollector(): Promise<{ readonly url: string; readonly spans: Span[] }> {
  const spans: Span[] = [];
  const http = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      const by = resource.attributes.find(({ key }: { key: string }) => key === "service.name").value.stringValue;
      spans.push(...scopeSpans[0].spans.map((span: object) => ({ ...span, by })));
    }
    response.writeHead(200).end();
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  opened.push(() => http.close());
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1/traces`, spans };
}

function tracing(flags: "00" | "01"): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("traceparent", `00-${traceId}-${parentId}-${flags}`);
  return metadata;
}

/** What a span says, for comparison. */
function said({ by, name, kind, status, traceId: trace, parentSpanId }: Span): unknown[] {
  assert.deepEqual([trace, parentSpanId], [traceId, parentId]);
  return [by, name, kind, status];
}

describe("spans of whole agents", () => {
  it("are made by both agents of a call over a link, and by one of a caller without, below the caller's own", {
    timeout: 30_000,
  }, async () => {
    const { url, spans } = await startCollector();
    const application = await startGrpcServer();
    opened.push(() => application.stop());
    const coordinator = new TestCoordinator();
    coordinator.behaviour.onHello = () => ({
      directory: {
        version: coordinator.hellos.length,
        processes: coordinator.hellos.map(({ hello }) => ({ ...hello })),
      },
    });
    await coordinator.start();
    opened.push(() => coordinator.crash());
    const both = { CUTLINE_COORDINATOR_ADDRESS: coordinator.address, CUTLINE_SPANS_URL: url };
    const callee = await startAgent({
      environment: {
        ...both,
        CUTLINE_PROCESS_ID: "shop/orders",
        CUTLINE_AUTHORITIES: "orders.shop:80",
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${application.port}`,
      },
    });
    await until("the callee is known", () => coordinator.hellos.length === 1);
    const caller = await startAgent({
      environment: { ...both, CUTLINE_PROCESS_ID: "shop/web", CUTLINE_DIRECTORY_WAIT_MS: "20000" },
    });

    const overLink = caller.client("orders.shop:80");
    assert.equal((await unary(overLink, { path, metadata: tracing("01") })).code, grpc.status.OK);
    const missing = { path: "/test.Service/Missing", metadata: tracing("01") };
    assert.equal((await unary(overLink, missing)).code, grpc.status.UNIMPLEMENTED);
    // Nobody has asked for these.
    assert.equal((await unary(overLink, { path, metadata: tracing("00") })).code, grpc.status.OK);
    assert.equal((await unary(overLink, { path })).code, grpc.status.OK);
    const plain = new grpc.Client(`127.0.0.1:${callee.agent.ports.inboundPort}`, grpc.credentials.createInsecure());
    opened.push(() => plain.close());
    assert.equal((await unary(plain, { path, metadata: tracing("01") })).code, grpc.status.OK);

    await Promise.all([caller.agent.stop(), callee.agent.stop()]);
    const [web, orders] = ["web-cutline-agent", "orders-cutline-agent"];
    assert.deepEqual(
      spans.map(said).sort(),
      [
        [web, "test.Service/Unary", client, ok],
        [web, "test.Service/Missing", client, unimplemented],
        [orders, "test.Service/Unary", server, ok],
        [orders, "test.Service/Missing", server, unimplemented],
        [orders, "test.Service/Unary", server, ok],
      ].sort(),
    );
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
  });
});
