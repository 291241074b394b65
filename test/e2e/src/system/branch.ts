import { join } from "node:path";
import type { BranchState, BranchStatus } from "@cutline/example-bank";
import { reservePort } from "./ports.ts";
import type { Environment } from "./program.ts";
import { Service } from "./service.ts";

/** One branch of the bank and the agent beside it. */
export interface BranchSpec {
  readonly name: string;
  /** The first half of its process id. Default `bank`. */
  readonly namespace?: string;
  /** `exact`: with the participant SDK. `opaque`: knows nothing of snapshots, and shows its state on a page. Default exact. */
  readonly kind?: "exact" | "opaque";
  /** Default 1000000. */
  readonly openingCents?: number;
  /** BRANCH_* settings, over the defaults of this kit. */
  readonly environment?: Environment;
  /** CUTLINE_* settings of its agent, over `agentEnvironment` of the system. */
  readonly agentEnvironment?: Environment;
}

const openingCentsDefault = 1_000_000;
const statusMsMax = 10_000;

/** Where a branch is, fixed before anything starts, because every program is told of the others. */
export interface BranchPlan {
  readonly spec: BranchSpec;
  readonly processId: string;
  readonly authority: string;
  readonly port: number;
  readonly statusPort: number;
  readonly statePort: number;
  readonly outboundPort: number;
}

export async function planBranch(spec: BranchSpec): Promise<BranchPlan> {
  return {
    spec,
    processId: `${spec.namespace ?? "bank"}/${spec.name}`,
    // No such name exists: only an agent can bring a call there.
    authority: `${spec.name}.bank:9000`,
    port: await reservePort(),
    statusPort: await reservePort(),
    statePort: await reservePort(),
    outboundPort: await reservePort(),
  };
}

export function startAgent(
  plan: BranchPlan,
  folder: string,
  coordinatorAddress: string,
  common: Environment,
): Promise<Service> {
  const { spec } = plan;
  return Service.start({
    name: `agent of ${spec.name}`,
    program: "services/agent/src/main.ts",
    environment: {
      CUTLINE_PROCESS_ID: plan.processId,
      CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${plan.port}`,
      CUTLINE_AUTHORITIES: plan.authority,
      CUTLINE_CAPTURE: spec.kind === "opaque" ? `http://127.0.0.1:${plan.statePort}/state` : "participant",
      CUTLINE_COORDINATOR_ADDRESS: coordinatorAddress,
      CUTLINE_OUTBOUND_PORT: String(plan.outboundPort),
      CUTLINE_INBOUND_PORT: "0",
      CUTLINE_LINK_PORT: "0",
      CUTLINE_ADMIN_PORT: "0",
      ...common,
      ...spec.agentEnvironment,
    },
    logFile: join(folder, `agent-${spec.name}.log`),
    servesMessage: "agent serves",
  });
}

export function startApplication(plan: BranchPlan, folder: string, all: readonly BranchPlan[]): Promise<Service> {
  const { spec } = plan;
  return Service.start({
    name: spec.name,
    program: "examples/bank/src/main.ts",
    environment: {
      BRANCH_NAME: spec.name,
      BRANCH_PORT: String(plan.port),
      BRANCH_PEERS: all.map(({ spec: { name }, authority }) => `${name}=${authority}`).join(","),
      BRANCH_OPENING_CENTS: String(spec.openingCents ?? openingCentsDefault),
      BRANCH_STATUS_PORT: String(plan.statusPort),
      ...(spec.kind === "opaque" && { BRANCH_OPAQUE_STATE_PORT: String(plan.statePort) }),
      grpc_proxy: `http://127.0.0.1:${plan.outboundPort}`,
      ...spec.environment,
    },
    logFile: join(folder, `${spec.name}.log`),
    servesMessage: "branch open",
  });
}

/** A branch that runs, with its agent. */
export class Branch {
  readonly plan: BranchPlan;
  readonly agent: Service;
  readonly application: Service;

  constructor(plan: BranchPlan, agent: Service, application: Service) {
    this.plan = plan;
    this.agent = agent;
    this.application = application;
  }

  get name(): string {
    return this.plan.spec.name;
  }

  /** `bank/NAME`. */
  get processId(): string {
    return this.plan.processId;
  }

  get openingCents(): number {
    return this.plan.spec.openingCents ?? openingCentsDefault;
  }

  /** Its live balance and counters: no snapshot, what it says at this instant. */
  async state(): Promise<BranchState> {
    return (await this.#page("GET", "/state")) as BranchState;
  }

  async status(): Promise<BranchStatus> {
    return (await this.#page("GET", "/status")) as BranchStatus;
  }

  /** Sends nothing more; what is on its way still arrives. */
  async pause(): Promise<void> {
    await this.#page("POST", "/pause");
  }

  async resume(): Promise<void> {
    await this.#page("POST", "/resume");
  }

  async #page(method: string, path: string): Promise<unknown> {
    const url = `http://127.0.0.1:${this.plan.statusPort}${path}`;
    const response = await fetch(url, { method, signal: AbortSignal.timeout(statusMsMax) });
    return response.json();
  }
}
