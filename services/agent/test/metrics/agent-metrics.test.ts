import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHttp2Meter, HeldBytes } from "@cutline/h2";
import { methods, startGrpcServer, until } from "@cutline/h2/testing";
import { createMetrics } from "@cutline/runtime";
import * as grpc from "@grpc/grpc-js";
import { declareAgentMetrics } from "../../src/metrics/agent-metrics.ts";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "../dataplane/processes.ts";
import { startTcpProxy, type TcpProxy } from "../dataplane/tcp-proxy.ts";

const testTimeoutMs = 30_000;

interface Pair {
  readonly caller: TestProcess;
  readonly callee: TestProcess;
  readonly client: grpc.Client;
  /** Between the two. */
  readonly proxy: TcpProxy;
  sample(of: TestProcess, name: string): Promise<Record<string, number>>;
}

/** Two processes whose metrics can be asked for; values by the labels in their order. */
async function withPair(test: (pair: Pair) => Promise<void>): Promise<void> {
  const server = await startGrpcServer();
  const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
  const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
  const proxy = await startTcpProxy(Number(callee.linkAddress.split(":")[1]));
  introduce([caller, callee], { [callee.id]: proxy.address });
  const client = dialThrough(caller, authorityOf(callee.id));
  const http2 = { outbound: createHttp2Meter(), inbound: createHttp2Meter(), application: createHttp2Meter() };
  const metricsOf = new Map(
    [caller, callee].map((process) => {
      const metrics = createMetrics();
      const sources = {
        plane: process.dataPlane,
        http2,
        held: new HeldBytes(),
        spans: undefined,
        readiness: () => "ready" as const,
        attached: () => true,
      };
      declareAgentMetrics(metrics, sources);
      return [process, metrics];
    }),
  );
  try {
    await test({
      caller,
      callee,
      client,
      proxy,
      async sample(process, name) {
        const text = (await metricsOf.get(process)?.render()) ?? "";
        const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`));
        return Object.fromEntries(
          lines.map((line) => {
            const labels = [...line.matchAll(/="([^"]*)"/g)].map(([, value]) => value).join(" ");
            return [labels, Number(line.slice(line.lastIndexOf(" ") + 1))];
          }),
        );
      },
    });
  } finally {
    client.close();
    server.stop();
    await Promise.all([caller.stop(), callee.stop()]);
    await proxy.close();
  }
}

function unary(client: grpc.Client, bytes: number, metadata = new grpc.Metadata()): Promise<number> {
  const { path, requestSerialize, responseDeserialize } = methods.unary;
  return new Promise((resolve) => {
    const message = Buffer.alloc(bytes, "x");
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, (error) =>
      resolve(error?.code ?? 0),
    );
  });
}

const out = "outbound bank/callee bank.callee:80 /test.Service/Unary";
const into = "inbound bank/caller bank.callee:80 /test.Service/Unary";

describe("the agent's metrics of calls over links", () => {
  it("count calls, bytes and durations at both ends", { timeout: testTimeoutMs }, async () => {
    await withPair(async ({ caller, callee, client, sample }) => {
      for (let i = 0; i < 3; i += 1) assert.equal(await unary(client, 100), 0);
      await until("no call is left", () =>
        [caller, callee].every((p) => p.links().every(({ calls }) => calls.size === 0)),
      );
      assert.deepEqual(await sample(caller, "cutline_calls_total"), { [`${out} OK`]: 3 });
      assert.deepEqual(await sample(callee, "cutline_calls_total"), { [`${into} OK`]: 3 });
      assert.deepEqual(await sample(caller, "cutline_open_calls"), { [out]: 0 });
      // Messages with their prefixes of 5 bytes; what one end sent the other received.
      const sent = await sample(caller, "cutline_call_sent_bytes_total");
      assert.deepEqual(sent, { [out]: 315 });
      assert.deepEqual(await sample(callee, "cutline_call_received_bytes_total"), { [into]: 315 });
      const answers = (await sample(callee, "cutline_call_sent_bytes_total"))[into];
      assert.equal(answers, (await sample(caller, "cutline_call_received_bytes_total"))[out]);
      assert.ok((answers ?? 0) > 0);
      assert.equal((await sample(caller, "cutline_call_duration_seconds_count"))[out], 3);
      assert.ok(((await sample(caller, "cutline_call_duration_seconds_sum"))[out] ?? 0) > 0);
      assert.deepEqual(await sample(caller, "cutline_links_connected"), { "bank/callee": 1 });
    });
  });

  it("tell open calls and cancelled ones", { timeout: testTimeoutMs }, async () => {
    await withPair(async ({ caller, client, sample }) => {
      const { path, requestSerialize, responseDeserialize } = methods.echo;
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new grpc.Metadata());
      call.on("error", () => undefined);
      let answers = 0;
      call.on("data", () => {
        answers += 1;
      });
      call.write(Buffer.alloc(1_000));
      await until("the stream is being served", () => answers === 1);
      const echo = "outbound bank/callee bank.callee:80 /test.Service/Echo";
      assert.equal((await sample(caller, "cutline_open_calls"))[echo], 1);
      assert.equal((await sample(caller, "cutline_call_sent_bytes_total"))[echo], 1_005, "of open calls, too");
      call.cancel();
      await until("the call is over", () => caller.links().every(({ calls }) => calls.size === 0));
      assert.equal((await sample(caller, "cutline_calls_total"))[`${echo} reset`], 1);
      assert.equal((await sample(caller, "cutline_open_calls"))[echo], 0);
    });
  });

  it("count answers of the agent's own", { timeout: testTimeoutMs }, async () => {
    await withPair(async ({ caller, sample }) => {
      const nobody = dialThrough(caller, "nobody.bank:80");
      assert.equal(await unary(nobody, 1), grpc.status.UNAVAILABLE);
      nobody.close();
      assert.deepEqual(await sample(caller, "cutline_calls_total"), {
        "outbound environment nobody.bank:80 /test.Service/Unary UNAVAILABLE": 1,
      });
    });
  });

  it("count resumes, also of links that are gone", { timeout: testTimeoutMs }, async () => {
    await withPair(async ({ caller, callee, client, proxy, sample }) => {
      assert.equal(await unary(client, 1), 0);
      assert.deepEqual(await sample(callee, "cutline_link_resumes_total"), { "bank/caller": 0 });
      proxy.cut();
      await until("a resume", () => [caller, callee].every((process) => process.links()[0]?.attachments === 2));
      for (const [process, peer] of [
        [caller, "bank/callee"],
        [callee, "bank/caller"],
      ] as const) {
        assert.deepEqual(await sample(process, "cutline_link_resumes_total"), { [peer]: 1 });
        assert.deepEqual(await sample(process, "cutline_links_lost_total"), { [peer]: 0 });
      }
      await callee.stop();
      await until("no link", () => caller.links().length === 0);
      assert.deepEqual(await sample(caller, "cutline_link_resumes_total"), { "bank/callee": 1 });
      assert.deepEqual(await sample(caller, "cutline_links_lost_total"), { "bank/callee": 1 });
      assert.deepEqual(await sample(caller, "cutline_links"), {});
    });
  });
});
