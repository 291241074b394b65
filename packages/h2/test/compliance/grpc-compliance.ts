import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Http2Adapters, listen, passThrough } from "./adapters.ts";
import { scenarios } from "./grpc-scenarios.ts";
import { type GrpcServer, openGrpcClient, startGrpcServer } from "./grpc-service.ts";

/** Runs every scenario directly and through the adapters: neither application can tell the difference. */
export function grpcCompliance(adapters: Http2Adapters): void {
  describe(`${adapters.name}: gRPC applications`, () => {
    for (const { name, run, compressed } of scenarios) {
      it(name, async () => {
        const direct = await withServer(async (server) => {
          const client = openGrpcClient(server.port, undefined, compressed);
          try {
            return await run(client, server);
          } finally {
            client.close();
          }
        });
        const proxied = await withServer(async (server) => {
          const far = adapters.createClient({ host: "127.0.0.1", port: server.port });
          const proxy = await listen(adapters.createServer(), () => passThrough(far));
          const client = openGrpcClient(proxy.port, `127.0.0.1:${server.port}`, compressed);
          try {
            return await run(client, server);
          } finally {
            client.close();
            await far.close(0);
            await proxy.close();
          }
        });
        assert.deepEqual(proxied, direct);
      });
    }
  });
}

async function withServer<T>(test: (server: GrpcServer) => Promise<T>): Promise<T> {
  const server = await startGrpcServer();
  try {
    return await test(server);
  } finally {
    server.stop();
  }
}
