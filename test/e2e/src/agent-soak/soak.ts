import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { reservePort } from "../system/ports.ts";
import { Rest } from "../system/rest.ts";
import { Service } from "../system/service.ts";
import { until } from "../system/until.ts";
import { memoryAfterCollection } from "./inspector.ts";
import { type Finding, judge, type Sample } from "./judge.ts";
import type { AgentSoakOptions } from "./options.ts";
import { makeTraffic, serveEcho, type Tally } from "./traffic.ts";

export interface AgentSoakResult {
  readonly outcome: "flat" | "rising";
  /** By agent. */
  readonly findings: Readonly<Record<string, readonly Finding[]>>;
  readonly tally: Tally;
  readonly snapshots: Readonly<Record<string, number>>;
}

const authority = "echo.soak:9000";
const readyMsMax = 45_000;

/** Lets a pair of agents live a busy life and looks at what they hold; `print` gets a line for each look. */
export async function soakAgents(options: AgentSoakOptions, print: (line: string) => void): Promise<AgentSoakResult> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-agent-soak-"));
  const services: Service[] = [];
  const stopping = new AbortController();
  const start = async (name: string, program: string, environment: Record<string, string>, servesMessage: string) => {
    const logFile = join(folder, `${name}.log`);
    const service = await Service.start({ name, program, environment, logFile, servesMessage });
    services.push(service);
    return service;
  };
  const echo = await serveEcho();
  try {
    const [httpPort, agentsPort] = [await reservePort(), await reservePort()];
    const store = { CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}` };
    const ports = { CUTLINE_HTTP_PORT: String(httpPort), CUTLINE_AGENTS_PORT: String(agentsPort) };
    await start(
      "coordinator",
      "services/coordinator/src/main.ts",
      { ...ports, ...store, CUTLINE_KEEP_MAX: "20" },
      "coordinator serves",
    );
    const agents: { readonly name: string; readonly service: Service; readonly inspectorPort: number }[] = [];
    for (const [name, applicationPort, authorities] of [
      ["caller", echo.port, "caller.soak:9000"],
      ["callee", echo.port, authority],
    ] as const) {
      const inspectorPort = await reservePort();
      const environment = {
        NODE_OPTIONS: `--inspect=127.0.0.1:${inspectorPort}`,
        CUTLINE_PROCESS_ID: `soak/${name}`,
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort}`,
        CUTLINE_AUTHORITIES: authorities,
        CUTLINE_COORDINATOR_ADDRESS: `127.0.0.1:${agentsPort}`,
        CUTLINE_OUTBOUND_PORT: "0",
        CUTLINE_INBOUND_PORT: "0",
        CUTLINE_LINK_PORT: "0",
        CUTLINE_ADMIN_PORT: "0",
        // Under this load nothing stands still; what is soaked is the trying.
        CUTLINE_DRAIN_TIMEOUT_MS: "20",
        CUTLINE_GUARD_MS: "5",
      };
      const service = await start(name, "services/agent/src/main.ts", environment, "agent serves");
      agents.push({ name, service, inspectorPort });
    }
    const rest = new Rest(() => `http://127.0.0.1:${httpPort}`);
    await until("agents that know each other", () => bothAttached(rest), { timeoutMs: readyMsMax });
    const [caller, callee] = agents;
    const tally: Tally = {
      unary: 0,
      streams: 0,
      cancelled: 0,
      expired: 0,
      shortConnections: 0,
      environment: 0,
      failed: 0,
    };
    const { signal } = stopping;
    const traffic = makeTraffic(
      {
        outboundPort: Number(caller?.service.serves.outboundPort),
        inboundPort: Number(callee?.service.serves.inboundPort),
        authority,
        signal,
      },
      tally,
    );
    const snapshots: Record<string, number> = {};
    const taking = takeSnapshots(rest, options.snapshotEveryMs, snapshots, signal);
    await delay(options.warmUpMs);
    const samples = new Map<string, Sample[]>(agents.map(({ name }) => [name, []]));
    const beganAtMs = performance.now();
    while (performance.now() - beganAtMs < options.durationMs) {
      for (const { name, service, inspectorPort } of agents) {
        const descriptors = (await readdir(`/proc/${service.pid}/fd`)).length;
        const memory = await memoryAfterCollection(inspectorPort);
        const sample = { atSeconds: Math.round((performance.now() - beganAtMs) / 1_000), descriptors, ...memory };
        samples.get(name)?.push(sample);
        print(line(name, sample, tally));
      }
      await delay(options.intervalMs);
    }
    stopping.abort();
    await Promise.all([traffic, taking]);
    const findings = Object.fromEntries([...samples].map(([name, all]) => [name, judge(all)]));
    const isRising = Object.values(findings).some((all) => all.some(({ verdict }) => verdict === "rising"));
    return { outcome: isRising ? "rising" : "flat", findings, tally, snapshots };
  } finally {
    stopping.abort();
    for (const service of services.reverse()) await service.stop();
    echo.server.forceShutdown();
    await rm(folder, { recursive: true, force: true });
  }
}

async function takeSnapshots(rest: Rest, everyMs: number, ends: Record<string, number>, signal: AbortSignal) {
  while (!signal.aborted) {
    const { phase } = await rest.take({ attempts: 1 });
    ends[phase] = (ends[phase] ?? 0) + 1;
    await delay(everyMs);
  }
}

async function bothAttached(rest: Rest): Promise<"ready" | undefined> {
  if ((await rest.readiness()) !== "ready") return undefined;
  const { processes } = await rest.topology();
  return processes.filter(({ phase }) => phase === "attached").length === 2 ? "ready" : undefined;
}

const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1).padStart(6);

function line(name: string, sample: Sample, { unary, streams, cancelled, shortConnections, failed }: Tally): string {
  const { atSeconds, rssBytes, heapBytes, externalBytes, descriptors } = sample;
  const memory = `rss ${mib(rssBytes)} heap ${mib(heapBytes)} external ${mib(externalBytes)} MiB`;
  const calls = `${unary} unary, ${streams} streams, ${cancelled} cancelled, ${shortConnections} short connections, ${failed} failed`;
  return `${String(atSeconds).padStart(5)} s ${name} ${memory} descriptors ${String(descriptors).padStart(3)} | ${calls}`;
}
