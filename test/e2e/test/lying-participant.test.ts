import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type CapturePoint, type ParticipantServer, ParticipantService } from "@cutline/proto/participant";
import * as grpc from "@grpc/grpc-js";
import { Rest, reservePort, Service, until } from "../src/index.ts";

const state = Buffer.from('{"cents":100}');
const right = createHash("sha256").update(state).digest("hex");
const wrong = createHash("sha256").update("another").digest("hex");

/** An application that knows the contract and has no calls. It says of its state what it is told to say. */
async function startApplication(says: { sha256: string }): Promise<{ server: grpc.Server; port: number }> {
  const point: CapturePoint = {
    ...{ epoch: 1, contentType: "application/json", lockWaitUs: 0, captureUs: 0 },
    ...{ incomingBegun: { first: 1, through: 0, also: [] }, incomingOpen: [], outgoingOpen: [] },
  };
  const server = new grpc.Server();
  const service: ParticipantServer = {
    hello: (_call, callback) => callback(null, { protocolVersion: 1, instance: "one", epoch: 1, sdk: "test" }),
    settle: (_call, callback) => callback(null, { stillOpen: [] }),
    // Open for as long as the application is there.
    receipts: () => undefined,
    capture(call) {
      call.write({ body: { $case: "point", value: point } });
      call.write({ body: { $case: "stateChunk", value: state } });
      call.write({ body: { $case: "end", value: { sizeBytes: state.length, sha256: says.sha256 } } });
      call.end();
      point.epoch += 1;
    },
  };
  server.addService(ParticipantService, service);
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { server, port };
}

test("an application that gives its state a wrong hash is in no snapshot that is completed", async (t) => {
  const says = { sha256: right };
  const { server, port } = await startApplication(says);
  t.after(() => server.forceShutdown());
  const folder = await mkdtemp(join(tmpdir(), "cutline-lying-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [http, agents] = [await reservePort(), await reservePort()];
  const start = async (name: string, environment: Record<string, string>) => {
    const spec = { name, program: `services/${name}/src/main.ts`, servesMessage: `${name} serves`, environment };
    const service = await Service.start({ ...spec, logFile: join(folder, `${name}.log`) });
    t.after(() => service.stop());
  };
  await start("coordinator", {
    CUTLINE_HTTP_PORT: String(http),
    CUTLINE_AGENTS_PORT: String(agents),
    CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
  });
  await start("agent", {
    CUTLINE_PROCESS_ID: "test/lying",
    CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${port}`,
    CUTLINE_AUTHORITIES: "lying.test:9000",
    CUTLINE_CAPTURE: "participant",
    CUTLINE_COORDINATOR_ADDRESS: `127.0.0.1:${agents}`,
    CUTLINE_OUTBOUND_PORT: "0",
    CUTLINE_INBOUND_PORT: "0",
    CUTLINE_LINK_PORT: "0",
    CUTLINE_ADMIN_PORT: "0",
  });
  const rest = new Rest(() => `http://127.0.0.1:${http}`);
  await until("a process that can be cut", async () => {
    if ((await rest.readiness()) !== "ready") return undefined;
    return (await rest.topology()).processes.some(({ ready }) => ready) ? "ready" : undefined;
  });

  const honest = await rest.take({ attempts: 1 });
  assert.equal(honest.phase, "Completed", `${honest.reason}: ${honest.message}`);

  says.sha256 = wrong;
  const { phase, reason, message } = await rest.take({ attempts: 1, timeoutMs: 10_000 });
  assert.equal(phase, "Failed", `${reason}: ${message}`);
  assert.match(message, /sha256/);

  says.sha256 = right;
  const again = await rest.take({ attempts: 1 });
  assert.equal(again.phase, "Completed", `${again.reason}: ${again.message}`);
});
