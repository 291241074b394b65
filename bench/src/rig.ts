import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rest, reservePort, Service, until } from "@cutline/e2e";
import { echoAuthority, type LoadRequest, type LoadResult } from "./contract.ts";

/** `none`: the applications know nothing of Cutline. `participant`: both are linked with its SDK. */
export type RigKind = "none" | "participant";

/** The programs that a call passes, in its order. */
export const passed = ["client", "agentA", "agentB", "server"] as const;
export type Passed = (typeof passed)[number];

/** A load client and an echo server, an agent beside each of them, and a coordinator: five programs. */
export interface Rig {
  readonly kind: RigKind;
  readonly rest: Rest;
  pid(program: Passed): number;
  load(request: LoadRequest): Promise<LoadResult>;
  stop(): Promise<void>;
}

const readyMsMax = 45_000;

export async function startRig(kind: RigKind): Promise<Rig> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-bench-"));
  const services: Service[] = [];
  const stop = async () => {
    for (const service of services.reverse()) await service.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const start = async (name: string, program: string, servesMessage: string, environment: Record<string, string>) => {
    const logFile = join(folder, `${name}.log`);
    const service = await Service.start({ name, program, servesMessage, environment, logFile });
    services.push(service);
    return service;
  };
  try {
    const http = await reservePort();
    const agents = await reservePort();
    await start("coordinator", "services/coordinator/src/main.ts", "coordinator serves", {
      CUTLINE_HTTP_PORT: String(http),
      CUTLINE_AGENTS_PORT: String(agents),
      CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
    });
    const startAgent = (name: string, applicationPort: number, outboundPort: number, authority: string) =>
      start(`agent of ${name}`, "services/agent/src/main.ts", "agent serves", {
        CUTLINE_PROCESS_ID: `bench/${name}`,
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort}`,
        CUTLINE_AUTHORITIES: authority,
        CUTLINE_CAPTURE: kind,
        CUTLINE_COORDINATOR_ADDRESS: `127.0.0.1:${agents}`,
        CUTLINE_OUTBOUND_PORT: String(outboundPort),
        CUTLINE_INBOUND_PORT: "0",
        CUTLINE_LINK_PORT: "0",
        CUTLINE_ADMIN_PORT: "0",
      });
    const [serverPort, clientPort, outboundPort, controlPort] = [
      await reservePort(),
      await reservePort(),
      await reservePort(),
      await reservePort(),
    ];
    const sdk = { BENCH_SDK: kind };
    const server = await start("server", "bench/src/echo-server.ts", "echo serves", {
      ...sdk,
      BENCH_PORT: String(serverPort),
    });
    const agentB = await startAgent("server", serverPort, await reservePort(), echoAuthority);
    const client = await start("client", "bench/src/load-client.ts", "load client serves", {
      ...sdk,
      BENCH_PORT: String(clientPort),
      BENCH_CONTROL_PORT: String(controlPort),
      BENCH_ECHO_ADDRESS: `127.0.0.1:${serverPort}`,
      grpc_proxy: `http://127.0.0.1:${outboundPort}`,
    });
    const agentA = await startAgent("client", clientPort, outboundPort, "client.bench:9000");
    const programs: Readonly<Record<Passed, Service>> = { client, agentA, agentB, server };
    const rest = new Rest(() => `http://127.0.0.1:${http}`);
    await until("two processes that can be cut", () => bothReady(rest), { timeoutMs: readyMsMax });
    return {
      kind,
      rest,
      pid: (program) => programs[program].pid,
      load: (request) => load(`http://127.0.0.1:${controlPort}/`, request),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function bothReady(rest: Rest): Promise<"ready" | undefined> {
  if ((await rest.readiness()) !== "ready") return undefined;
  const { processes } = await rest.topology();
  return processes.filter(({ ready }) => ready).length === 2 ? "ready" : undefined;
}

async function load(url: string, request: LoadRequest): Promise<LoadResult> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(request) });
  if (!response.ok) throw new Error(`the load client: ${await response.text()}`);
  return (await response.json()) as LoadResult;
}
