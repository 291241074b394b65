import { join } from "node:path";
import { Rest, reservePort, until } from "@cutline/e2e";
import type { AgentCode } from "./agent-code.ts";
import type { MeshTls } from "./agent-tls.ts";
import type { Pair } from "./pair.ts";
import type { Program } from "./program.ts";
import type { Workshop } from "./workshop.ts";

export interface AgentPairRequest {
  readonly echoPort: number;
  readonly code: AgentCode;
  /** `none`: the applications know nothing of Cutline. */
  readonly capture: "none" | "participant";
  /** Where the client serves its SDK; without one nobody looks there. */
  readonly clientPort: number;
  /** Under which the echo server is known; only agents can bring a call there. */
  readonly authority: string;
  /** Where each of them writes a CPU profile when it ends; `undefined`: nowhere. */
  readonly profileFolder: string | undefined;
  readonly tls: MeshTls;
}

export interface AgentPair extends Pair {
  readonly rest: Rest;
  /** Resolves when both processes can be cut; with the SDK that takes their applications. */
  ready(): Promise<void>;
}

const readyMsMax = 45_000;

/** Two agents as they are deployed, everything on: numbers, resending, credit, recording, metrics; and a coordinator. */
export async function startAgentPair(workshop: Workshop, request: AgentPairRequest): Promise<AgentPair> {
  const { code, capture, clientPort, echoPort, authority, profileFolder, tls } = request;
  const { placement, executable } = workshop;
  const [http, agents, outbound] = [await reservePort(), await reservePort(), await reservePort()];
  const folder = await workshop.subfolder(`agents-${outbound}`);
  await workshop.start(
    {
      name: "coordinator",
      command: [executable, ...code.service("coordinator")],
      core: placement.aside,
      environment: {
        CUTLINE_HTTP_PORT: String(http),
        CUTLINE_AGENTS_PORT: String(agents),
        CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
        ...(await tls.coordinator()),
      },
    },
    { line: "coordinator serves" },
  );
  const start = async (
    name: "client" | "echo",
    core: number,
    environment: Readonly<Record<string, string>>,
  ): Promise<Program> => {
    const profiling = profileFolder === undefined ? [] : profileArguments(profileFolder, `${name}-${outbound}`);
    const { program, line } = await workshop.start(
      {
        name: `agent of ${name}`,
        command: [executable, ...profiling, ...code.service("agent")],
        core,
        environment: {
          CUTLINE_PROCESS_ID: `bench/${name}`,
          CUTLINE_CAPTURE: capture,
          CUTLINE_COORDINATOR_ADDRESS: `127.0.0.1:${agents}`,
          CUTLINE_INBOUND_PORT: "0",
          CUTLINE_LINK_PORT: "0",
          CUTLINE_ADMIN_PORT: "0",
          ...(await tls.process(`bench/${name}`)),
          ...environment,
        },
      },
      { line: "agent serves" },
    );
    tls.check(program, line);
    return program;
  };
  const hop2 = await start("echo", placement.hop2, {
    CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${echoPort}`,
    CUTLINE_AUTHORITIES: authority,
    CUTLINE_OUTBOUND_PORT: "0",
  });
  const hop1 = await start("client", placement.hop1, {
    CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${clientPort}`,
    CUTLINE_AUTHORITIES: "client.bench:9000",
    CUTLINE_OUTBOUND_PORT: String(outbound),
  });
  const rest = new Rest(() => `http://127.0.0.1:${http}`);
  const ready = () => until("two processes that can be cut", () => bothReady(rest), { timeoutMs: readyMsMax });
  return { hops: [hop1, hop2], port: outbound, authority, rest, ready: async () => void (await ready()) };
}

function profileArguments(folder: string, name: string): string[] {
  return ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=agent-of-${name}.cpuprofile`];
}

async function bothReady(rest: Rest): Promise<"ready" | undefined> {
  if ((await rest.readiness()) !== "ready") return undefined;
  const { processes } = await rest.topology();
  return processes.filter(({ ready }) => ready).length === 2 ? "ready" : undefined;
}
