import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rest, reservePort, Service, until } from "@cutline/e2e";

const readyMsMax = 45_000;

export interface Place {
  readonly name: string;
  /** Where its application serves; default: a port where nothing does. */
  readonly applicationPort?: number;
  /** CUTLINE_* settings of its agent. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A coordinator, and an agent for each place; nothing of the applications. */
export interface Mesh {
  readonly rest: Rest;
  readonly folder: string;
  /** Of a place's agent: where its application dials out. */
  outboundPort(name: string): number;
  agent(name: string): Service;
  /** Rejects when an agent or the coordinator did not end in good order. */
  stop(): Promise<void>;
}

/** The name under which a place is dialled. No such name exists: only an agent can bring a call there. */
export function authorityOf(name: string): string {
  return `${name}.interop:9000`;
}

export async function startMesh(places: readonly Place[]): Promise<Mesh> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-interop-"));
  const services: Service[] = [];
  const agents = new Map<string, { readonly service: Service; readonly outboundPort: number }>();
  const stop = async () => {
    const ends: string[] = [];
    // Agents take their leave of the coordinator, which is the first here.
    for (const together of [services.slice(1), services.slice(0, 1)]) {
      await Promise.all(
        together.map(async (service) => {
          const how = await service.stop();
          if (how !== "exit code 0") ends.push(`${service.name} ended with ${how}:\n${service.tail()}`);
        }),
      );
    }
    if (ends.length > 0) throw new Error(`${ends.join("\n")}\nlogs: ${folder}`);
    await rm(folder, { recursive: true, force: true });
  };
  const start = async (name: string, program: string, environment: Record<string, string>, servesMessage: string) => {
    const logFile = join(folder, `${name}.log`);
    const service = await Service.start({ name, program, environment, logFile, servesMessage });
    services.push(service);
    return service;
  };
  try {
    const [httpPort, agentsPort] = [await reservePort(), await reservePort()];
    const coordinator = {
      CUTLINE_HTTP_PORT: String(httpPort),
      CUTLINE_AGENTS_PORT: String(agentsPort),
      CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
    };
    await start("coordinator", "services/coordinator/src/main.ts", coordinator, "coordinator serves");
    await Promise.all(
      places.map(async ({ name, applicationPort, environment }) => {
        const [outboundPort, nothingThere] = [await reservePort(), await reservePort()];
        const settings = {
          CUTLINE_PROCESS_ID: `interop/${name}`,
          CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort ?? nothingThere}`,
          CUTLINE_AUTHORITIES: authorityOf(name),
          CUTLINE_COORDINATOR_ADDRESS: `127.0.0.1:${agentsPort}`,
          CUTLINE_OUTBOUND_PORT: String(outboundPort),
          CUTLINE_INBOUND_PORT: "0",
          CUTLINE_LINK_PORT: "0",
          CUTLINE_ADMIN_PORT: "0",
          ...environment,
        };
        const service = await start(`agent-${name}`, "services/agent/src/main.ts", settings, "agent serves");
        agents.set(name, { service, outboundPort });
      }),
    );
    const rest = new Rest(() => `http://127.0.0.1:${httpPort}`);
    await until("agents that are attached and know each other", () => allReady(rest, places.length), {
      timeoutMs: readyMsMax,
    });
    const find = (name: string) => {
      const agent = agents.get(name);
      if (agent === undefined) throw new Error(`there is no agent of ${name}`);
      return agent;
    };
    return {
      rest,
      folder,
      outboundPort: (name) => find(name).outboundPort,
      agent: (name) => find(name).service,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function allReady(rest: Rest, count: number): Promise<"ready" | undefined> {
  if ((await rest.readiness()) !== "ready") return undefined;
  const { processes } = await rest.topology();
  return processes.filter(({ ready }) => ready).length === count ? "ready" : undefined;
}
