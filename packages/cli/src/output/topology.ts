import type { Topology } from "../topology.ts";
import { orDash, yesNo } from "./snapshots.ts";
import { formatTable, type TableStyle } from "./table.ts";
import { countOf, formatAge, formatDurationMs } from "./values.ts";

/** Processes, links and environment, each in a table of its own. */
export function formatTopology(topology: Topology, nowMs: number, shape: "table" | "wide", style: TableStyle): string {
  const parts = [processes(topology, nowMs, shape, style)];
  if (topology.links.length > 0) parts.push(links(topology, style));
  if (topology.environment.length > 0) parts.push(environment(topology, style));
  if (topology.discovery !== undefined) parts.push(discovery(topology.discovery));
  return parts.join("\n");
}

function processes(topology: Topology, nowMs: number, shape: "table" | "wide", style: TableStyle): string {
  const wide = shape === "wide";
  return formatTable(
    [
      { title: "PROCESS" },
      { title: "PHASE" },
      { title: "READY" },
      { title: "SOURCE" },
      { title: "AGE", align: "right" },
      ...(wide ? [{ title: "AGENT" }, { title: "INCARNATION" }, { title: "AUTHORITIES", cellsMin: 11 }] : []),
      { title: "WHY" },
    ],
    topology.processes.map((process) => [
      process.id,
      process.phase,
      { text: yesNo(process.ready), colour: process.ready ? "good" : "warn" },
      orDash(process.captureSource),
      formatAge(process.attachedAt, nowMs),
      ...(wide ? [process.agentVersion, process.incarnation, orDash(process.authorities.join(","))] : []),
      orDash(process.reasons.map(({ code, message }) => `${code}: ${message}`).join("; ")),
    ]),
    style,
  );
}

function discovery({ phase, ageMs, services, endpointSlices }: NonNullable<Topology["discovery"]>): string {
  if (phase !== "known") return "Discovery: nothing is known of the cluster's Services yet\n";
  return `Discovery: ${countOf(services, "Service")} and ${countOf(endpointSlices, "EndpointSlice")}, the API server heard ${formatDurationMs(ageMs)} ago\n`;
}

function links(topology: Topology, style: TableStyle): string {
  return formatTable(
    [
      { title: "LINK", cellsMin: 12 },
      { title: "A" },
      { title: "B" },
      { title: "PHASE" },
      { title: "OPEN CALLS", align: "right" },
    ],
    topology.links.map((link) => [link.id, link.a, link.b, link.phase, String(link.openCalls)]),
    style,
  );
}

function environment(topology: Topology, style: TableStyle): string {
  return formatTable(
    [
      { title: "ENVIRONMENT", cellsMin: 12 },
      { title: "DIRECTION" },
      { title: "PROCESS" },
      { title: "CALLS", align: "right" },
      { title: "OPEN", align: "right" },
    ],
    topology.environment.map((peer) => [
      peer.authority,
      peer.direction,
      peer.process,
      String(peer.calls),
      String(peer.openCalls),
    ]),
    style,
  );
}
