import type { ChannelEntry, ProcessEntry, Snapshot } from "@cutline/proto/snapshot";
import { phaseColour } from "./palette.ts";
import { orDash, paintPhase, yesNo } from "./snapshots.ts";
import { formatTable, type TableStyle } from "./table.ts";
import { escapeLine, widthOf } from "./text.ts";
import { countOf, formatAge, formatBytes, formatDurationMs, formatDurationUs, formatPairs } from "./values.ts";

/** A full account of one snapshot for people. */
export function describeSnapshot(snapshot: Snapshot, nowMs: number, style: TableStyle): string {
  const indented = { ...style, indent: 2 };
  const sections: (readonly [title: string, body: string])[] = [
    ["Reasons", reasonsOf(snapshot, indented)],
    ["Processes", processesOf(snapshot.processes, indented)],
    ["Channels", channelsOf(snapshot.channels, indented)],
    ["Certificate", certificateOf(snapshot, indented)],
    ["Environment", environmentOf(snapshot.processes, indented)],
    ["Earlier attempts", attemptsOf(snapshot, nowMs, indented)],
  ];
  const text = sections
    .filter(([, body]) => body !== "")
    .map(([title, body]) => `\n${style.paint("bold", `${title}:`)}\n${body}`);
  return `${facts(snapshot, nowMs, style)}${text.join("")}`;
}

function facts(snapshot: Snapshot, nowMs: number, style: TableStyle): string {
  const { progress, scope } = snapshot;
  const selector = formatPairs(scope?.labelSelector ?? {});
  const namespaces = scope?.namespaces ?? [];
  const stored = [
    namespaces.length === 0 ? "all namespaces" : `namespaces ${namespaces.join(", ")}`,
    ...(selector === "" ? [] : [`pods with ${selector}`]),
  ].join(", ");
  const lines: (readonly [string, string])[] = [
    ["Snapshot", escapeLine(snapshot.id)],
    ["Phase", paintPhase(style.paint, escapeLine(snapshot.phase))],
  ];
  const add = (name: string, value: string) => {
    if (value !== "") lines.push([name, escapeLine(value)]);
  };
  add("Reason", snapshot.reason);
  add("Message", snapshot.message);
  if (snapshot.phase === "Completed") {
    add("Exact", yesNo(snapshot.exact));
    add("Partial", snapshot.partial ? "yes: calls with peers without an agent are not in the picture" : "no");
  }
  add("Created", moment(snapshot.createdAt, nowMs));
  add("Started", moment(snapshot.startedAt, nowMs));
  add("Ended", moment(snapshot.endedAt, nowMs));
  const allowed = formatDurationMs(snapshot.timeoutMs);
  add(
    "Duration",
    snapshot.endedAt === "" ? `${allowed} allowed` : `${formatDurationMs(snapshot.durationMs)} of ${allowed}`,
  );
  add("Attempt", `${snapshot.attempt} of ${snapshot.attemptsMax}`);
  add("Initiator", snapshot.initiator === "" ? "none: all processes at once" : snapshot.initiator);
  add("Scope", stored);
  add("Labels", formatPairs(snapshot.labels));
  add("Idempotency key", snapshot.idempotencyKey);
  add("Term", String(snapshot.term));
  if (progress !== undefined) {
    add(
      "Progress",
      `${progress.processesCut} of ${countOf(progress.processesTotal, "process", "processes")} cut, ` +
        `${progress.channelsClosed} of ${countOf(progress.channelsTotal, "channel")} closed`,
    );
    add("In flight", countOf(progress.inFlightMessages, "message"));
    add("Stored", formatBytes(progress.storedBytes));
  }
  const width = Math.max(...lines.map(([name]) => widthOf(name))) + 3;
  return `${lines.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}`).join("\n")}\n`;
}

function moment(time: string, nowMs: number): string {
  return time === "" ? "" : `${time} (${formatAge(time, nowMs)} ago)`;
}

function reasonsOf(snapshot: Snapshot, style: TableStyle): string {
  const rows = new Map<string, string[]>();
  for (const { processId, code, message } of [...snapshot.reasons, ...snapshot.processes.flatMap(withProcess)]) {
    // The snapshot repeats what its processes say.
    rows.set([processId, code, message].join("\n"), [orDash(processId), code, message]);
  }
  return rows.size === 0
    ? ""
    : formatTable([{ title: "PROCESS" }, { title: "CODE" }, { title: "MESSAGE" }], [...rows.values()], style);
}

function withProcess(process: ProcessEntry): ProcessEntry["reasons"] {
  return process.reasons.map((reason) => ({ ...reason, processId: reason.processId || process.id }));
}

function processesOf(processes: readonly ProcessEntry[], style: TableStyle): string {
  if (processes.length === 0) return "";
  return formatTable(
    [
      { title: "PROCESS", cellsMin: 16 },
      { title: "PHASE" },
      { title: "SOURCE" },
      { title: "EXACT" },
      { title: "PAUSE", align: "right" },
      { title: "LOCKWAIT", align: "right" },
      { title: "STATE", align: "right" },
      { title: "CALLS", align: "right" },
      { title: "STORED" },
    ],
    processes.map((process) => [
      process.id,
      { text: process.phase, colour: phaseColour(process.phase) },
      orDash(process.captureSource),
      { text: yesNo(process.exact), colour: process.exact ? "good" : "warn" },
      formatDurationUs(process.pauseUs),
      formatDurationUs(process.lockWaitUs),
      formatBytes(process.stateBytes),
      String(process.callsInProcess),
      process.stored ? "yes" : "no: outside of the scope",
    ]),
    style,
  );
}

function channelsOf(channels: readonly ChannelEntry[], style: TableStyle): string {
  if (channels.length === 0) return "";
  return formatTable(
    [
      { title: "FROM", cellsMin: 16 },
      { title: "TO", cellsMin: 16 },
      { title: "SENT", align: "right" },
      { title: "DELIVERED", align: "right" },
      { title: "RECORDED", align: "right" },
      { title: "OUTBOX", align: "right" },
      { title: "VERDICT", cellsMin: 12 },
      { title: "CHANNEL", cellsMin: 12 },
    ],
    channels.map((channel) => [
      channel.from,
      channel.to,
      String(channel.sentAtCut),
      String(channel.deliveredAtCut),
      String(channel.recordedCount),
      String(channel.outboxCount),
      { text: orDash(channel.verdict), colour: verdictColour(channel.verdict) },
      channel.id,
    ]),
    style,
  );
}

function verdictColour(verdict: string): "good" | "bad" | undefined {
  if (verdict === "") return undefined;
  return verdict === "consistent" ? "good" : "bad";
}

function certificateOf(snapshot: Snapshot, style: TableStyle): string {
  const { certificate } = snapshot;
  // The manifest carries an empty certificate until there is one.
  if (certificate === undefined || certificate.verdict === "") return "";
  const verdict = style.paint(certificate.verdict === "valid" ? "good" : "bad", escapeLine(certificate.verdict));
  const violations = certificate.violations.map(({ code, message }) => `  ${escapeLine(`${code}: ${message}`)}\n`);
  return `  ${verdict} over ${countOf(certificate.channels, "channel")}\n${violations.join("")}  sha256 ${escapeLine(certificate.digest)}\n`;
}

function environmentOf(processes: readonly ProcessEntry[], style: TableStyle): string {
  const rows = processes.flatMap((process) =>
    process.environment.map((peer) => [
      process.id,
      peer.direction,
      peer.authority,
      String(peer.calls),
      String(peer.openCalls),
    ]),
  );
  if (rows.length === 0) return "";
  return formatTable(
    [
      { title: "PROCESS" },
      { title: "DIRECTION" },
      { title: "PEER", cellsMin: 12 },
      { title: "CALLS", align: "right" },
      { title: "OPEN", align: "right" },
    ],
    rows,
    style,
  );
}

function attemptsOf(snapshot: Snapshot, nowMs: number, style: TableStyle): string {
  if (snapshot.earlierAttempts.length === 0) return "";
  return formatTable(
    [{ title: "ATTEMPT", align: "right" }, { title: "ENDED" }, { title: "REASON" }, { title: "MESSAGE" }],
    snapshot.earlierAttempts.map((attempt) => [
      String(attempt.attempt),
      moment(attempt.endedAt, nowMs),
      attempt.reason,
      attempt.message,
    ]),
    style,
  );
}
