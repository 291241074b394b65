import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Branch, type BranchPlan, type BranchSpec, planBranch, startAgent, startApplication } from "./branch.ts";
import { buildDescriptors } from "./descriptors.ts";
import { SystemError } from "./errors.ts";
import { reservePort } from "./ports.ts";
import type { Environment } from "./program.ts";
import { startRedis } from "./redis.ts";
import { Rest } from "./rest.ts";
import { Service } from "./service.ts";
import { until } from "./until.ts";

export interface SystemOptions {
  /** `embedded`: a file in the temporary folder. `redis`: a redis-server of its own. Default embedded. */
  readonly store?: "embedded" | "redis" | { readonly redisUrl: string };
  readonly branches: readonly BranchSpec[];
  /** CUTLINE_* settings of every agent. */
  readonly agentEnvironment?: Environment;
  /** CUTLINE_* settings of the coordinator. */
  readonly coordinatorEnvironment?: Environment;
  /** Of the coordinator's REST API, when it is free; default: any. */
  readonly httpPort?: number;
}

/** Until every process is ready and every branch trades. */
const readyTimeoutMs = 45_000;
/** Until everything that was sent has been answered. */
const quietTimeoutMs = 45_000;
/** The same before everything is stopped, where it is worth less. */
const quietBeforeStopMs = 5_000;

/** Coordinator, store, branches and their agents, each a process of its own on 127.0.0.1. */
export interface System {
  readonly coordinator: Service;
  /** Undefined when the store is embedded, or a Redis that was there before. */
  readonly redis: Service | undefined;
  readonly branches: readonly Branch[];
  readonly rest: Rest;
  /** `http://127.0.0.1:PORT`; stays the same over restarts. */
  readonly httpAddress: string;
  /** What all branches opened with, together. */
  readonly totalCents: number;
  /** Logs, database and descriptors; removed by `stop`. */
  readonly folder: string;
  /** By the name in its spec; throws `UnknownBranch`. */
  branch(name: string): Branch;
  /** Waits until the coordinator is ready, every process can be cut, and every branch trades or is paused. */
  ready(): Promise<void>;
  /** Pauses every branch and resolves when no call is open any more: then no money is on its way. */
  pauseTraffic(): Promise<void>;
  resumeTraffic(): Promise<void>;
  /** The last lines of everything that runs. */
  tails(): string;
  /** Stops everything in order; never rejects. `keep`: the folder stays. Resolves with how each program ended. */
  stop(logs?: "keep" | "remove"): Promise<Readonly<Record<string, string>>>;
}

/**
 * Starts a whole system and resolves when money moves in it. Rejects with a `SystemError`, and then nothing is left
 * running; the logs are in the folder that the message names.
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-system-"));
  const system = new RunningSystem(options, folder);
  try {
    await system.start();
    return system;
  } catch (error) {
    await system.stop("keep");
    if (error instanceof SystemError) error.message += `\nlogs: ${folder}`;
    throw error;
  }
}

class RunningSystem implements System {
  readonly folder: string;
  readonly rest = new Rest(() => this.httpAddress);
  readonly totalCents: number;
  branches: readonly Branch[] = [];
  redis: Service | undefined;
  httpAddress = "";
  readonly #options: SystemOptions;
  #coordinator: Service | undefined;
  /** In the order in which they started. */
  readonly #services: Service[] = [];
  #stopping: Promise<Record<string, string>> | undefined;

  constructor(options: SystemOptions, folder: string) {
    this.#options = options;
    this.folder = folder;
    this.totalCents = options.branches.reduce((sum, { openingCents = 1_000_000 }) => sum + openingCents, 0);
  }

  get coordinator(): Service {
    if (this.#coordinator === undefined) throw new SystemError("ProgramEnded", "the coordinator was never started");
    return this.#coordinator;
  }

  async start(): Promise<void> {
    const { branches, agentEnvironment = {} } = this.#options;
    const grpcAddress = await this.#startCoordinator();
    const plans: BranchPlan[] = [];
    for (const spec of branches) plans.push(await planBranch(spec));
    const agents = await this.#startAll(
      plans.map((plan) => startAgent(plan, this.folder, grpcAddress, agentEnvironment)),
    );
    const applications = await this.#startAll(plans.map((plan) => startApplication(plan, this.folder, plans)));
    this.branches = plans.flatMap((plan, index) => {
      const [agent, application] = [agents[index], applications[index]];
      return agent === undefined || application === undefined ? [] : [new Branch(plan, agent, application)];
    });
    await this.ready();
  }

  branch(name: string): Branch {
    const found = this.branches.find((branch) => branch.name === name);
    if (found === undefined) throw new SystemError("UnknownBranch", `there is no branch ${name}`);
    return found;
  }

  async ready(): Promise<void> {
    let missing = "";
    await until(
      "a system that is ready",
      async () => {
        missing = await this.#missing();
        return missing === "" ? "ready" : undefined;
      },
      { timeoutMs: readyTimeoutMs, everyMs: 100, otherwise: () => `${missing}\n${this.tails()}` },
    );
  }

  pauseTraffic(): Promise<void> {
    return this.#quiet(quietTimeoutMs);
  }

  async resumeTraffic(): Promise<void> {
    await Promise.all(this.branches.map((branch) => branch.resume()));
  }

  tails(): string {
    return this.#services.map((service) => `--- ${service.name}:\n${service.tail()}`).join("\n");
  }

  stop(logs: "keep" | "remove" = "remove"): Promise<Record<string, string>> {
    this.#stopping ??= this.#stopAll(logs);
    return this.#stopping;
  }

  async #startCoordinator(): Promise<string> {
    const { store = "embedded", httpPort, coordinatorEnvironment = {} } = this.#options;
    const descriptors = join(this.folder, "bank.binpb");
    const [storeUrl] = await Promise.all([this.#storeUrl(store), buildDescriptors(descriptors)]);
    const http = await reservePort(httpPort);
    const grpc = await reservePort();
    this.httpAddress = `http://127.0.0.1:${http}`;
    this.#coordinator = await Service.start({
      name: "coordinator",
      program: "services/coordinator/src/main.ts",
      environment: {
        CUTLINE_HTTP_PORT: String(http),
        CUTLINE_AGENTS_PORT: String(grpc),
        CUTLINE_STORE_URL: storeUrl,
        CUTLINE_DESCRIPTOR_SET_FILE: descriptors,
        ...coordinatorEnvironment,
      },
      logFile: join(this.folder, "coordinator.log"),
      servesMessage: "coordinator serves",
    });
    this.#services.push(this.#coordinator);
    return `127.0.0.1:${grpc}`;
  }

  async #storeUrl(store: NonNullable<SystemOptions["store"]>): Promise<string> {
    if (store === "embedded") return `file:${join(this.folder, "coordinator.db")}`;
    if (store !== "redis") return store.redisUrl;
    const { redis, url } = await startRedis(this.folder);
    this.redis = redis;
    this.#services.push(redis);
    return url;
  }

  /** All of them, or none: what did start is remembered, so that it is stopped when another one does not. */
  async #startAll(starting: readonly Promise<Service>[]): Promise<Service[]> {
    const settled = await Promise.allSettled(starting);
    const started = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    this.#services.push(...started);
    for (const one of settled) if (one.status === "rejected") throw one.reason;
    return started;
  }

  /** Empty when nothing is. */
  async #missing(): Promise<string> {
    const silent = await this.#notTrading();
    if (silent !== "") return silent;
    if ((await this.rest.readiness()) === "notReady") return "the coordinator is not ready";
    const { processes } = await this.rest.topology();
    for (const { processId } of this.branches) {
      const process = processes.find(({ id }) => id === processId);
      if (process === undefined) return `${processId} has never attached`;
      if (process.phase !== "attached") return `${processId} is ${process.phase}`;
      if (!process.ready) return `${processId} cannot be cut: ${process.reasons.map(({ code }) => code).join(", ")}`;
    }
    return "";
  }

  async #notTrading(): Promise<string> {
    for (const branch of this.branches) {
      const { traffic } = await branch.status();
      if (traffic !== "running" && traffic !== "paused") return `${branch.name} is ${traffic}`;
    }
    return "";
  }

  async #quiet(timeoutMs: number): Promise<void> {
    await Promise.all(this.branches.map((branch) => branch.pause()));
    let open = "";
    await until(
      "quiet",
      async () => {
        const statuses = await Promise.all(this.branches.map((branch) => branch.status()));
        open = statuses.map(({ state, callsOpen }) => `${state.branch} has ${callsOpen} calls open`).join(", ");
        return statuses.every(({ callsOpen }) => callsOpen === 0) ? "quiet" : undefined;
      },
      { timeoutMs, otherwise: () => open },
    );
  }

  /** Lets money that is on its way arrive before its receiver is gone. Not everything may be there to take part. */
  async #quietIfPossible(applications: readonly Service[]): Promise<void> {
    if (applications.some(({ standing }) => standing === "ended")) return;
    for (const application of applications) application.thaw();
    try {
      await this.#quiet(quietBeforeStopMs);
    } catch (error) {
      if (!(error instanceof SystemError || error instanceof TypeError || error instanceof DOMException)) throw error;
      // It stays restless, or does not answer (fetch says TypeError or a time-out): it is stopped all the same.
    }
  }

  async #stopAll(logs: "keep" | "remove"): Promise<Record<string, string>> {
    const applications = this.branches.map(({ application }) => application);
    const agents = this.branches.map(({ agent }) => agent);
    const rest = this.#services.filter((service) => !applications.includes(service) && !agents.includes(service));
    const ends: Record<string, string> = {};
    await this.#quietIfPossible(applications);
    // Branches finish their calls through the agents, agents take their leave of the coordinator, it closes its store.
    for (const together of [applications, agents, ...rest.reverse().map((service) => [service])]) {
      await Promise.all(
        together.map(async (service) => {
          ends[service.name] = await service.stop();
        }),
      );
    }
    if (logs === "remove") await rm(this.folder, { recursive: true, force: true });
    return ends;
  }
}
