import type { ConfigDefinition, ConfigOf, Logger, Metrics } from "@cutline/runtime";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { type AgentMetrics, declareAgentMetrics, type MetricSources } from "../metrics/agent-metrics.ts";
import { ApplicationProbe } from "./application-probe.ts";
import { createHealth } from "./health.ts";
import type { Listener } from "./listener.ts";
import { judgeReadiness, type Readiness, type ReadinessFacts, type ReadinessRule } from "./readiness.ts";
import { AdminServer } from "./server.ts";
import { callRows, linkRows, settingRows } from "./views.ts";

export interface AdminSources<Definition extends ConfigDefinition> {
  readonly self: { readonly processId: string; readonly incarnation: string };
  readonly version: string;
  readonly definition: Definition;
  readonly config: ConfigOf<Definition>;
  readonly rule: ReadinessRule;
  readonly plane: DataPlane;
  readonly http2: MetricSources["http2"];
  readonly held: MetricSources["held"];
  readonly spans: MetricSources["spans"];
  phase(): ReadinessFacts["phase"];
  coordinator(): ReadinessFacts["coordinator"];
  readonly application: {
    readonly address: string;
    readonly host: string;
    readonly port: number;
    /** Why calls cannot be handed over, where that is known without trying. */
    error(): string | undefined;
    /** Why no capture would be tried. */
    unreadyReason(): string | undefined;
  };
  readonly metrics: Metrics;
  now(): number;
  readonly logger: Logger;
}

/** What the agent shows of itself: its page, its metrics and its readiness. */
export interface Admin {
  readonly server: AdminServer;
  /** For the kubelet and scrapers. */
  readonly health: Listener;
  readonly counted: AgentMetrics;
}

export function createAdmin<Definition extends ConfigDefinition>(sources: AdminSources<Definition>): Admin {
  const { self, plane, metrics, now, logger, application } = sources;
  const probe = new ApplicationProbe({ host: application.host, port: application.port, now });

  const judge = (unreachable: string | undefined): Readiness => {
    const links = [...plane.driver.links.values()].map(({ peer, connected, attachments }) => ({
      peer: peer.processId,
      connected,
      wasConnected: attachments > 0,
    }));
    const facts: ReadinessFacts = {
      phase: sources.phase(),
      coordinator: sources.coordinator(),
      links,
      application: {
        address: application.address,
        reason: application.error() ?? unreachable,
        uncapturable: application.unreadyReason(),
      },
    };
    return judgeReadiness(facts, sources.rule);
  };

  const counted = declareAgentMetrics(metrics, {
    plane,
    http2: sources.http2,
    held: sources.held,
    spans: sources.spans,
    // As of the last question: a scrape does not wait for the application.
    readiness: () => judge(probe.reason).outcome,
    attached: () => sources.coordinator().attached,
  });
  const server = new AdminServer({
    title: `Cutline agent of ${self.processId}`,
    metrics,
    overview: () => overview(sources),
    readiness: async () => judge(await probe.ask()),
    links: () => linkRows(plane),
    calls: () => callRows(plane, now),
    settings: () => settingRows(sources.definition, sources.config),
    logger,
  });
  const health = createHealth({
    isStarted: () => sources.phase() !== "starting",
    readiness: async () => judge(await probe.ask()),
    metrics,
    logger,
  });
  return { server, health, counted };
}

function overview<Definition extends ConfigDefinition>(sources: AdminSources<Definition>): [string, string][] {
  const { self, version, plane, application } = sources;
  const coordinator = sources.coordinator();
  const links = [...plane.driver.links.values()];
  const connected = links.filter((link) => link.connected).length;
  const openCalls = links.reduce((sum, { calls }) => sum + calls.size, 0);
  return [
    ["process", self.processId],
    ["incarnation", self.incarnation],
    ["version", version],
    ["phase", sources.phase()],
    ["coordinator", `${coordinator.address}, ${coordinator.attached ? "attached" : "not attached"}`],
    ["application", application.address],
    ["links", `${links.length}, ${connected} connected`],
    ["open calls over links", String(openCalls)],
    ["open calls with the environment", String(plane.book.environmentCalls.size)],
  ];
}
