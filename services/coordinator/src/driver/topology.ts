import type { AgentHello } from "@cutline/proto/control";
import type { KnownAgent, NamingStanding } from "../agents/port.ts";
import type { Topology, TopologyEnvironment, TopologyLink } from "../snapshots.ts";
import { timeText } from "./clock.ts";

/** What the agents said last, in one picture, with the authorities that lead to each. */
export function topologyOf(
  term: number,
  processes: readonly KnownAgent[],
  authoritiesOf: (hello: AgentHello) => readonly string[],
  discovery: NamingStanding | undefined,
): Topology {
  return {
    term,
    ...(discovery !== undefined && { discovery }),
    processes: processes.map(({ hello, attachedAtMs, detachedAtMs, status }) => ({
      id: hello.processId,
      incarnation: hello.incarnation,
      agentVersion: hello.agentVersion,
      captureSource: hello.captureSource,
      authorities: authoritiesOf(hello),
      labels: hello.labels,
      attachedAt: timeText(attachedAtMs),
      phase: detachedAtMs === undefined ? "attached" : "detached",
      ready: detachedAtMs === undefined && (status?.ready ?? false),
      reasons:
        status === undefined
          ? [{ code: "NoStatus", message: "the agent has not said yet whether it is ready" }]
          : status.reasons.map(({ code, message }) => ({ code, message })),
    })),
    links: linksOf(processes),
    environment: processes.flatMap(({ hello, status }) =>
      (status?.environment ?? []).map(
        ({ authority, direction, calls, openCalls }): TopologyEnvironment => ({
          process: hello.processId,
          authority,
          direction: direction === "inbound" ? "inbound" : "outbound",
          calls,
          openCalls,
        }),
      ),
    ),
  };
}

/** Both ends tell of a link; it counts once, and as connected only when no end says otherwise. */
function linksOf(processes: readonly KnownAgent[]): TopologyLink[] {
  const links = new Map<string, TopologyLink>();
  for (const { hello, status } of processes) {
    for (const { linkId, peerProcessId, phase, openCalls } of status?.links ?? []) {
      const known = links.get(linkId);
      const own = phase === "connected" ? "connected" : phase === "closed" ? "closed" : "broken";
      links.set(linkId, {
        id: linkId,
        a: known?.a ?? hello.processId,
        b: known?.b ?? peerProcessId,
        phase: known === undefined || own !== "connected" ? own : known.phase,
        openCalls: Math.max(known?.openCalls ?? 0, openCalls),
      });
    }
  }
  return [...links.values()];
}
