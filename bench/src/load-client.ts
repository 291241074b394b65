/**
 * A program of its own: keeps a number of calls open for a while and measures them. It is told what to do by
 * `POST /` on BENCH_CONTROL_PORT with a `LoadRequest`, and answers with a `LoadResult`; meanwhile it answers `GET /` with
 * a `LoadCount`, and `DELETE /` ends the load.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import process from "node:process";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { createApplication } from "./application.ts";
import { echoAuthority, echoService, type LoadCount, type LoadRequest, type LoadResult } from "./contract.ts";

interface EchoClient extends grpc.Client {
  call(request: Buffer, callback: (error: grpc.ServiceError | null, reply?: Buffer) => void): grpc.ClientUnaryCall;
}
const EchoClient = grpc.makeGenericClientConstructor(echoService, "Echo") as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => EchoClient;

const { BENCH_CONTROL_PORT, BENCH_ECHO_ADDRESS = "" } = process.env;
let calls = 0;
const { participant, serve } = createApplication(() => ({ calls }));
const insecure = grpc.credentials.createInsecure();
const direct = new EchoClient(BENCH_ECHO_ADDRESS, insecure, { "grpc.enable_http_proxy": 0 });
const byName = new EchoClient(echoAuthority, insecure);
const byAgents = participant?.client(byName) ?? byName;

/** Resolves with its latency in us, NaN when it failed. */
function call(client: EchoClient, payload: Buffer): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const make = () => {
      client.call(payload, (error, reply) => {
        calls += 1;
        const answered = error === null && reply?.length === payload.length;
        resolve(answered ? (performance.now() - began) * 1_000 : Number.NaN);
      });
    };
    // With the SDK a call is made in a section, as its guide says.
    if (participant === undefined || client === direct) make();
    else void participant.atomic(make);
  });
}

/** Of the load that is going on. */
let told: "goOn" | "end" = "goOn";
const paceMs = 2;

async function load(request: LoadRequest): Promise<LoadResult> {
  const { route, concurrency, durationMs, messageBytes = 100, callsPerSecond } = request;
  told = "goOn";
  const payload = Buffer.alloc(messageBytes, "x");
  const client = route === "direct" ? direct : byAgents;
  const latenciesUs: number[] = [];
  let failures = 0;
  const began = performance.now();
  const goesOn = () => told === "goOn" && performance.now() - began < durationMs;
  const one = async () => {
    const latencyUs = await call(client, payload);
    if (Number.isNaN(latencyUs)) failures += 1;
    else latenciesUs.push(latencyUs);
  };
  const worker = async () => {
    while (goesOn()) await one();
  };
  const paced = async (perMs: number) => {
    const open = new Set<Promise<void>>();
    for (let due = 0; goesOn(); await sleep(paceMs)) {
      for (; due < perMs * (performance.now() - began); due += 1) {
        if (open.size >= concurrency) continue;
        const begun: Promise<void> = one().finally(() => open.delete(begun));
        open.add(begun);
      }
    }
    await Promise.all(open);
  };
  if (callsPerSecond === undefined) await Promise.all(Array.from({ length: concurrency }, worker));
  else await paced(callsPerSecond / 1_000);
  const elapsedMs = performance.now() - began;
  const sorted = Float64Array.from(latenciesUs).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { calls: sorted.length, failures, elapsedMs, p50Us: at(0.5), p99Us: at(0.99) };
}

const control = createServer((request: IncomingMessage, response) => {
  if (request.method === "GET") {
    response.end(JSON.stringify({ calls, atMs: performance.now() } satisfies LoadCount));
    return;
  }
  if (request.method === "DELETE") {
    told = "end";
    response.end();
    return;
  }
  json(request)
    .then((body) => load(body as LoadRequest))
    .then(
      (result) => response.end(JSON.stringify(result)),
      (error: Error) => response.writeHead(500).end(error.message),
    );
});
control.listen(Number(BENCH_CONTROL_PORT), "127.0.0.1");
await once(control, "listening");
await serve("load client serves");
