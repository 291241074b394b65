import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rest, reservePort, Service, startRedis, until } from "@cutline/e2e";
import type { ApplicationStatus } from "./application/main.ts";
import { ChaosProxy } from "./proxy.ts";

const readyMsMax = 60_000;
/** The agents' links go by this address, where the proxies listen; the agents themselves do by 127.0.0.1. */
const proxyHost = "127.0.0.2";

/** An application, its agent, and the proxy that all links to the agent run through. */
export interface Place {
  readonly name: string;
  readonly processId: string;
  readonly agent: Service;
  readonly application: Service;
  readonly proxy: ChaosProxy;
  /** How often agent and application were started. */
  run: number;
  /** `down`: killed, and not back among the processes that can be cut. */
  standing: "up" | "down";
}

export interface ChaosMesh {
  readonly places: readonly Place[];
  readonly rest: Rest;
  readonly folder: string;
  status(place: Place): Promise<ApplicationStatus>;
  /** No new calls are made from here on. */
  stopCalls(): Promise<void>;
  ready(): Promise<void>;
  /** SIGKILL of agent and application together, and a new run of both; resolves when it makes calls again. */
  restart(place: Place): Promise<{ readonly agentServesAtMs: number }>;
  linkCounts(): Promise<{ readonly links: number; readonly connections: number; readonly givenUp: number }>;
  stop(logs: "keep" | "remove"): Promise<readonly string[]>;
}

export interface MeshOptions {
  readonly store: "embedded" | "redis";
  readonly places: number;
  /** Calls that each application keeps open to each other one. */
  readonly lanes: number;
}

export async function startMesh({ store, places: count, lanes }: MeshOptions): Promise<ChaosMesh> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-chaos-"));
  const mesh = new RunningMesh(folder, lanes);
  try {
    await mesh.start(store, count);
    return mesh;
  } catch (error) {
    await mesh.stop("keep");
    if (error instanceof Error) error.message += `\nlogs: ${folder}`;
    throw error;
  }
}

interface Plan {
  readonly name: string;
  readonly port: number;
  readonly statusPort: number;
}

class RunningMesh implements ChaosMesh {
  readonly folder: string;
  readonly places: Place[] = [];
  rest = new Rest(() => "");
  readonly #lanes: number;
  readonly #plans = new Map<string, Plan>();
  readonly #others: Service[] = [];
  #agentsAddress = "";

  constructor(folder: string, lanes: number) {
    this.folder = folder;
    this.#lanes = lanes;
  }

  async start(store: "embedded" | "redis", count: number): Promise<void> {
    const redis = store === "redis" ? await startRedis(this.folder) : undefined;
    if (redis !== undefined) this.#others.push(redis.redis);
    const [http, agents] = [await reservePort(), await reservePort()];
    this.rest = new Rest(() => `http://127.0.0.1:${http}`);
    this.#agentsAddress = `127.0.0.1:${agents}`;
    const environment = {
      CUTLINE_HTTP_PORT: String(http),
      CUTLINE_AGENTS_PORT: String(agents),
      CUTLINE_STORE_URL: redis?.url ?? `file:${join(this.folder, "coordinator.db")}`,
    };
    this.#others.push(
      await this.#service("coordinator", "services/coordinator/src/main.ts", environment, "coordinator serves"),
    );
    for (const name of ["a", "b", "c", "d", "e"].slice(0, count)) {
      this.#plans.set(name, { name, port: await reservePort(), statusPort: await reservePort() });
    }
    const started = await Promise.allSettled([...this.#plans.values()].map((plan) => this.#startPlace(plan)));
    for (const one of started) if (one.status === "rejected") throw one.reason;
    await this.ready();
    await Promise.all(this.places.map((place) => this.#page(place, "begin")));
  }

  async status(place: Place): Promise<ApplicationStatus> {
    return this.#page(place, "");
  }

  async stopCalls(): Promise<void> {
    await Promise.all(this.places.map((place) => this.#page(place, "stop")));
  }

  async ready(): Promise<void> {
    let missing = "";
    await until(
      "processes that can be cut",
      async () => {
        if ((await this.rest.readiness()) !== "ready") return undefined;
        const { processes } = await this.rest.topology();
        const ready = processes.filter(({ ready, phase }) => ready && phase === "attached").map(({ id }) => id);
        missing = this.places
          .filter(({ processId }) => !ready.includes(processId))
          .map(({ name }) => name)
          .join(", ");
        return missing === "" ? "ready" : undefined;
      },
      { timeoutMs: readyMsMax, everyMs: 50, otherwise: () => `not ready: ${missing}` },
    );
  }

  async restart(place: Place): Promise<{ readonly agentServesAtMs: number }> {
    place.standing = "down";
    await Promise.all([place.agent.kill(), place.application.kill()]);
    place.run += 1;
    await place.agent.restart();
    const agentServesAtMs = Date.now();
    await place.application.restart({ CHAOS_RUN: String(place.run) });
    await this.ready();
    place.standing = "up";
    await this.#page(place, "begin");
    return { agentServesAtMs };
  }

  async linkCounts(): Promise<{ links: number; connections: number; givenUp: number }> {
    const links = new Set<unknown>();
    let [connections, givenUp] = [0, 0];
    for (const { name } of this.places) {
      const log = await readFile(join(this.folder, `agent-${name}.log`), "utf8");
      for (const line of log.split("\n")) {
        if (line.includes('"link given up"')) givenUp += 1;
        if (!line.includes('"link connected"')) continue;
        const { linkId, role } = JSON.parse(line) as { readonly linkId: string; readonly role: string };
        if (role !== "dialler") continue;
        links.add(linkId);
        connections += 1;
      }
    }
    return { links: links.size, connections, givenUp };
  }

  async stop(logs: "keep" | "remove"): Promise<readonly string[]> {
    const problems: string[] = [];
    const { places } = this;
    const [applications, agents] = [places.map((each) => each.application), places.map((each) => each.agent)];
    for (const together of [applications, agents, [...this.#others].reverse()]) {
      await Promise.all(
        together.map(async (service) => {
          const how = await service.stop();
          if (how !== "exit code 0") problems.push(`${service.name} ended with ${how}:\n${service.tail()}`);
        }),
      );
    }
    await Promise.all(places.map(({ proxy }) => proxy.close()));
    if (logs === "remove" && problems.length === 0) await rm(this.folder, { recursive: true, force: true });
    return problems;
  }

  async #startPlace(plan: Plan): Promise<void> {
    const { name, port, statusPort } = plan;
    const [linkPort, outboundPort] = [await reservePort(), await reservePort()];
    const proxy = await ChaosProxy.start(proxyHost, linkPort);
    const processId = `chaos/${name}`;
    const agent = await this.#service(
      `agent-${name}`,
      "services/agent/src/main.ts",
      {
        CUTLINE_PROCESS_ID: processId,
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${port}`,
        CUTLINE_AUTHORITIES: authorityOf(name),
        CUTLINE_CAPTURE: "participant",
        CUTLINE_COORDINATOR_ADDRESS: this.#agentsAddress,
        CUTLINE_OUTBOUND_PORT: String(outboundPort),
        CUTLINE_INBOUND_PORT: "0",
        CUTLINE_ADMIN_PORT: "0",
        CUTLINE_LINK_PORT: String(linkPort),
        CUTLINE_LINK_ADVERTISED_HOST: proxyHost,
      },
      "agent serves",
    );
    const peers = [...this.#plans.keys()].filter((other) => other !== name);
    const application = await this.#service(
      `application-${name}`,
      "test/chaos/src/application/main.ts",
      {
        CHAOS_NAME: name,
        CHAOS_RUN: "1",
        CHAOS_PORT: String(port),
        CHAOS_STATUS_PORT: String(statusPort),
        CHAOS_LANES: String(this.#lanes),
        CHAOS_PEERS: peers.map((peer) => `${peer}=${authorityOf(peer)}`).join(","),
        grpc_proxy: `http://127.0.0.1:${outboundPort}`,
      },
      "application serves",
    );
    this.places.push({ name, processId, agent, application, proxy, run: 1, standing: "up" });
  }

  #service(name: string, program: string, environment: Record<string, string>, servesMessage: string) {
    return Service.start({ name, program, environment, logFile: join(this.folder, `${name}.log`), servesMessage });
  }

  async #page(place: Place, what: "" | "begin" | "stop"): Promise<ApplicationStatus> {
    const url = `http://127.0.0.1:${this.#plans.get(place.name)?.statusPort}/${what}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(20_000) });
    return (await response.json()) as ApplicationStatus;
  }
}

/** No such name exists: only an agent can bring a call there. */
function authorityOf(name: string): string {
  return `${name}.chaos:9000`;
}
