import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { methods, startGrpcServer } from "@cutline/h2/testing";
import * as grpc from "@grpc/grpc-js";
import { authorityOf, dialThrough, introduce, startProcess } from "./processes.ts";

/** As W3C Trace Context and Baggage write them, with what is easily lost: several members, blanks, odd characters. */
const context = {
  traceparent: ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
  tracestate: ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "vendor@tenant=a:b/c"],
  baggage: ["userId=alice,serverNode=DF%2028;prop=1", "isProduction=false"],
};

describe("W3C trace context over a link", () => {
  it("reaches the application as its caller has sent it", { timeout: 30_000 }, async () => {
    const server = await startGrpcServer();
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
    introduce([caller, callee]);
    // Spans are made beside the call, and change nothing of it.
    const spans: (string | undefined)[] = [];
    for (const { dataPlane } of [caller, callee]) dataPlane.book.onCallOver = ({ trace }) => spans.push(trace);
    const client = dialThrough(caller, authorityOf(callee.id));
    try {
      const metadata = new grpc.Metadata();
      for (const [name, values] of Object.entries(context)) for (const value of values) metadata.add(name, value);
      const { path, requestSerialize, responseDeserialize } = methods.unary;
      await new Promise<void>((resolve, reject) => {
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, Buffer.from("x"), metadata, (error) =>
          error === null ? resolve() : reject(error),
        );
      });
      const seen = server.served[0]?.metadata ?? {};
      for (const [name, values] of Object.entries(context)) {
        assert.deepEqual(seen[name]?.join(", "), values.join(", "), name);
      }
      assert.deepEqual(spans, [context.traceparent[0], context.traceparent[0]]);
    } finally {
      client.close();
      server.stop();
      await Promise.all([caller.stop(), callee.stop()]);
    }
  });
});
