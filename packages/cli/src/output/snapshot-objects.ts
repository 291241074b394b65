import type { SnapshotObject } from "../cluster/objects.ts";
import { endOf } from "../cluster/snapshots.ts";
import { phaseColour } from "./palette.ts";
import { orDash, paintPhase, yesNo } from "./snapshots.ts";
import { type Cell, type Column, formatTable, type TableStyle } from "./table.ts";
import { escapeLine, widthOf } from "./text.ts";
import { countOf, formatAge, formatBytes, formatDurationMs, formatPairs } from "./values.ts";

const columns: readonly Column[] = [
  { title: "NAME" },
  { title: "PHASE" },
  { title: "PROCESSES", align: "right" },
  { title: "CHANNELS", align: "right" },
  { title: "INFLIGHT", align: "right" },
  { title: "EXACT" },
  { title: "AGE", align: "right" },
];

const wideColumns: readonly Column[] = [
  { title: "REASON", cellsMin: 6 },
  { title: "ATTEMPT", align: "right" },
  { title: "DATA" },
  { title: "ID", cellsMin: 6 },
];

/** One GlobalSnapshot a row, with the columns of `kubectl get`. */
export function formatSnapshotObjects(
  objects: readonly SnapshotObject[],
  nowMs: number,
  shape: "table" | "wide",
  where: "here" | "everywhere",
  style: TableStyle,
): string {
  const titles = [
    ...(where === "everywhere" ? [{ title: "NAMESPACE" }] : []),
    ...columns,
    ...(shape === "wide" ? wideColumns : []),
  ];
  const rows = objects.map((object): Cell[] => {
    const { name, namespace, phase, status, createdAt } = object;
    const data = status.conditions.find(({ type }) => type === "DataAvailable");
    return [
      ...(where === "everywhere" ? [namespace] : []),
      name,
      { text: orDash(phase), colour: phaseColour(phase) },
      orDash(status.processes),
      orDash(status.channels),
      phase === "" ? "-" : String(status.inFlightMessages),
      status.exact === undefined ? "-" : { text: yesNo(status.exact), colour: status.exact ? "good" : "warn" },
      formatAge(createdAt, nowMs),
      ...(shape === "wide"
        ? [
            orDash(status.reason),
            status.attempt === 0 ? "-" : String(status.attempt),
            data === undefined ? "-" : data.status === "True" ? "yes" : `no: ${data.reason}`,
            orDash(status.snapshotId),
          ]
        : []),
    ];
  });
  return formatTable(titles, rows, style);
}

/** In one line, while it runs. */
export function objectProgress({ phase, status }: SnapshotObject): string {
  if (phase === "") return "waiting for the controller";
  const processes = status.processes === "" ? "" : `, ${status.processes} processes cut`;
  const channels = status.channels === "" ? "" : `, ${status.channels} channels closed`;
  const why = status.reason === "" ? "" : ` (${status.reason})`;
  return escapeLine(`${phase}${why}${processes}${channels}`);
}

type Event = { readonly time: string; readonly type: string; readonly reason: string; readonly message: string };

/** All that the API server knows of one. */
export function describeSnapshotObject(
  object: SnapshotObject,
  events: readonly Event[],
  nowMs: number,
  style: TableStyle,
): string {
  const indented = { ...style, indent: 2 };
  const { status } = object;
  const sections: (readonly [string, string])[] = [
    [
      "Problems",
      formatRows(
        ["POD", "CODE", "MESSAGE"],
        status.problems.map(({ pod, code, message }) => [orDash(pod), code, message]),
        indented,
      ),
    ],
    [
      "Conditions",
      formatRows(
        ["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"],
        status.conditions.map((one) => [one.type, one.status, one.reason, formatAge(one.since, nowMs), one.message]),
        indented,
      ),
    ],
    [
      "Events",
      formatRows(
        ["AGE", "TYPE", "REASON", "MESSAGE"],
        events.map(({ time, type, reason, message }) => [formatAge(time, nowMs), type, reason, message]),
        indented,
      ),
    ],
  ];
  const text = sections
    .filter(([, body]) => body !== "")
    .map(([title, body]) => `\n${style.paint("bold", `${title}:`)}\n${body}`);
  return `${facts(object, nowMs, style)}${text.join("")}`;
}

function formatRows(titles: readonly string[], rows: readonly (readonly string[])[], style: TableStyle): string {
  return rows.length === 0
    ? ""
    : formatTable(
        titles.map((title) => ({ title })),
        rows,
        style,
      );
}

function facts(object: SnapshotObject, nowMs: number, style: TableStyle): string {
  const { name, namespace, phase, spec, status, labels, createdAt } = object;
  const lines: (readonly [string, string])[] = [
    ["Name", escapeLine(name)],
    ["Namespace", escapeLine(namespace)],
    ["Phase", paintPhase(style.paint, escapeLine(orDash(phase)))],
  ];
  const add = (title: string, value: string) => {
    if (value !== "") lines.push([title, escapeLine(value)]);
  };
  add("Reason", status.reason);
  add("Message", status.message);
  add("Labels", formatPairs(labels));
  add("Created", moment(createdAt, nowMs));
  add("Started", moment(status.startedAt, nowMs));
  add("Ended", moment(status.endedAt, nowMs));
  if (endOf(object) === "ended" && status.startedAt !== "") {
    const durationMs = Date.parse(status.endedAt) - Date.parse(status.startedAt);
    if (durationMs >= 0) add("Duration", formatDurationMs(durationMs));
  }
  add("Time limit", `${spec.timeoutSeconds}s`);
  add("Attempt", status.attempt === 0 ? "" : `${status.attempt} of ${spec.attempts}`);
  add("Initiator", spec.initiator);
  const scope = [
    spec.namespaces.length === 0 ? "all namespaces" : `namespaces ${spec.namespaces.join(", ")}`,
    ...(Object.keys(spec.matchLabels).length === 0 ? [] : [`pods with ${formatPairs(spec.matchLabels)}`]),
  ];
  add("Scope", scope.join(", "));
  add("Deletion policy", spec.deletionPolicy);
  add("Deleting", object.isDeleting ? "yes: its data goes first" : "");
  if (status.exact !== undefined) add("Exact", yesNo(status.exact));
  if (phase === "Completed") add("Partial", yesNo(status.partial));
  add("Processes cut", status.processes);
  add("Channels closed", status.channels);
  if (phase !== "") {
    add("In flight", countOf(status.inFlightMessages, "message"));
    add("Stored", formatBytes(status.storedBytes));
  }
  add("Snapshot ID", status.snapshotId);
  const width = Math.max(...lines.map(([title]) => widthOf(title))) + 3;
  return `${lines.map(([title, value]) => `${`${title}:`.padEnd(width)}${value}`).join("\n")}\n`;
}

function moment(time: string, nowMs: number): string {
  return time === "" ? "" : `${time} (${formatAge(time, nowMs)} ago)`;
}
