import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type GrpcServer,
  methods,
  type Outcome,
  openGrpcClient,
  scenarios,
  startGrpcServer,
  until,
} from "@cutline/h2/testing";
import * as grpc from "@grpc/grpc-js";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "./processes.ts";

/** A call that hangs is a failure, not a wait. */
const testTimeoutMs = 30_000;

interface Pair {
  readonly caller: TestProcess;
  readonly callee: TestProcess;
  readonly client: grpc.Client;
}

/** Two processes; the second one's application is `server`. Afterwards nothing of any call may be left. */
async function withPair<T>(
  applicationPort: number,
  clientOptions: grpc.ClientOptions,
  test: (pair: Pair) => Promise<T>,
  messageBytesMax = { caller: 64 * 1024 * 1024, callee: 64 * 1024 * 1024 },
): Promise<T> {
  const limitsOf = (side: "caller" | "callee") => ({ callLimits: { messageBytesMax: messageBytesMax[side] } });
  const caller = await startProcess({ id: "bank/caller", applicationPort: 0, ...limitsOf("caller") });
  const callee = await startProcess({ id: "bank/callee", applicationPort, ...limitsOf("callee") });
  introduce([caller, callee]);
  const client = dialThrough(caller, authorityOf(callee.id), clientOptions);
  try {
    const result = await test({ caller, callee, client });
    await until("no call is left at either end", () =>
      [caller, callee].every((process) => process.links().every((link) => link.calls.size === 0)),
    );
    return result;
  } finally {
    client.close();
    await Promise.all([caller.stop(), callee.stop()]);
  }
}

async function withServer<T>(test: (server: GrpcServer) => Promise<T>): Promise<T> {
  const server = await startGrpcServer();
  try {
    return await test(server);
  } finally {
    server.stop();
  }
}

const gzip = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };

describe("gRPC over a link: neither application can tell the difference from a direct call", () => {
  for (const { name, run, compressed } of scenarios) {
    it(name, { timeout: testTimeoutMs }, async () => {
      const direct = await withServer(async (server) => {
        const client = openGrpcClient(server.port, authorityOf("bank/callee"), compressed);
        try {
          return await run(client, server);
        } finally {
          client.close();
        }
      });
      const linked = await withServer((server) =>
        withPair(server.port, compressed === true ? gzip : {}, ({ client }) => run(client, server)),
      );
      assert.deepEqual(linked, direct);
    });
  }
});

function unary(
  client: grpc.Client,
  request: Buffer,
  metadata = new grpc.Metadata(),
): Promise<Pick<Outcome, "code" | "details">> {
  const { path, requestSerialize, responseDeserialize } = methods.unary;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error) => {
      resolve({ code: error?.code ?? grpc.status.OK, details: error?.details ?? "" });
    });
  });
}

describe("gRPC over a link: what only the agents do", () => {
  it("carries calls that come by CONNECT, with the target as authority", async () => {
    await withServer(async (server) => {
      const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
      const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
      introduce([caller, callee]);
      process.env.grpc_proxy = `http://127.0.0.1:${caller.outboundPort}`;
      const client = new grpc.Client(authorityOf(callee.id), grpc.credentials.createInsecure(), {
        "grpc.enable_channelz": 0,
        "grpc.use_local_subchannel_pool": 1,
      });
      try {
        assert.equal((await unary(client, Buffer.from("x"))).code, grpc.status.OK);
        assert.equal(callee.links().length, 1);
      } finally {
        delete process.env.grpc_proxy;
        client.close();
        await Promise.all([caller.stop(), callee.stop()]);
      }
    });
  });

  it("answers UNAVAILABLE when the application is down", async () => {
    const { port, stop } = await startGrpcServer();
    stop();
    await withPair(port, {}, async ({ client }) => {
      assert.equal((await unary(client, Buffer.from("x"))).code, grpc.status.UNAVAILABLE);
    });
  });

  it("answers UNAVAILABLE when the application dies in mid-call", async () => {
    const server = await startGrpcServer();
    await withPair(server.port, {}, async ({ client }) => {
      const metadata = new grpc.Metadata();
      metadata.add("hang", "please");
      const call = unary(client, Buffer.from("x"), metadata);
      await until("the call is being served", () => server.served.length === 1);
      server.stop();
      assert.equal((await call).code, grpc.status.UNAVAILABLE);
    });
  });

  it("answers UNAVAILABLE for an authority that is no process and no address", async () => {
    await withPair(1, {}, async ({ caller }) => {
      const client = dialThrough(caller, "nobody.bank:80");
      const { code, details } = await unary(client, Buffer.from("x"));
      client.close();
      assert.equal(code, grpc.status.UNAVAILABLE);
      assert.match(details, /nobody\.bank:80/);
    });
  });

  for (const side of ["caller", "callee"] as const) {
    it(`answers RESOURCE_EXHAUSTED for a message above the limit of the ${side}'s agent`, async () => {
      await withServer(async (server) => {
        const limits = { caller: 1_000_000, callee: 1_000_000, [side]: 100_000 };
        await withPair(
          server.port,
          {},
          async ({ client }) => {
            assert.equal((await unary(client, Buffer.alloc(100_000))).code, grpc.status.OK);
            const { code, details } = await unary(client, Buffer.alloc(100_001));
            assert.equal(code, grpc.status.RESOURCE_EXHAUSTED);
            assert.match(details, /100001 bytes.*limit of 100000/);
            assert.equal((await unary(client, Buffer.alloc(100_000))).code, grpc.status.OK);
          },
          limits,
        );
      });
    });
  }
});
