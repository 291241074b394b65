import { createHash } from "node:crypto";
import type { Demand, InteropCase } from "./cases.ts";
import type { Pair, SeenCall, SeenCase } from "./script.ts";

/** What a case did, directly or through agents, against what gRPC's description demands. Empty: all of it is met. */
export function unmet({ demands }: InteropCase, seen: SeenCase): string[] {
  return demands.flatMap((demand, index) => {
    const outcomes = seen.calls[index] ?? [];
    if (outcomes.length !== 1) return [`call ${index} had ${outcomes.length} different outcomes: ${say(outcomes)}`];
    return outcomes.flatMap((outcome) =>
      unmetByCall(demand, outcome.seen).map((problem) => `call ${index}: ${problem}`),
    );
  });
}

function unmetByCall(demand: Demand, seen: SeenCall): string[] {
  const problems: string[] = [];
  if (seen.code !== demand.code) problems.push(`status ${seen.code} (${seen.details}) instead of ${demand.code}`);
  if (demand.details !== undefined && seen.details !== demand.details) {
    problems.push(`message ${say(seen.details)} instead of ${say(demand.details)}`);
  }
  const wanted = demand.messages?.map((bytes) => `${bytes.length} ${sha256(bytes)}`);
  const had = seen.messages.map(({ bytes, sha256 }) => `${bytes} ${sha256}`);
  if (wanted !== undefined && say(wanted) !== say(had)) problems.push(`answers ${say(had)} instead of ${say(wanted)}`);
  const flags = seen.messages.map(({ flag }) => flag);
  if (demand.flags !== undefined && !flags.includes(undefined) && say(flags) !== say(demand.flags)) {
    problems.push(`compressed flags ${say(flags)} instead of ${say(demand.flags)}`);
  }
  for (const pair of demand.headers ?? []) if (!has(seen.headers ?? [], pair)) problems.push(`no header ${say(pair)}`);
  for (const pair of demand.trailers ?? []) if (!has(seen.trailers, pair)) problems.push(`no trailer ${say(pair)}`);
  return problems;
}

/** In what a run through agents differs from the direct one. Empty: in nothing that a client can see. */
export function differences({ isRace }: InteropCase, direct: SeenCase, agents: SeenCase): string[] {
  const comparable = isRace ? ({ code }: SeenCall) => ({ code }) : comparableCall;
  const left = direct.calls.map((outcomes) => outcomes.map(({ times, seen }) => ({ times, ...comparable(seen) })));
  const right = agents.calls.map((outcomes) => outcomes.map(({ times, seen }) => ({ times, ...comparable(seen) })));
  return left.flatMap((outcomes, index) => {
    const other = right[index];
    return say(outcomes) === say(other) ? [] : [`call ${index}: ${say(other)} instead of ${say(outcomes)}`];
  });
}

/** Without what is different in every run: the time of day, and how long a deadline's parts took. */
function comparableCall(seen: SeenCall): SeenCall {
  return {
    ...seen,
    headers: seen.headers && withoutDates(seen.headers),
    trailers: withoutDates(seen.trailers),
    details: seen.details.replace(/^(Deadline exceeded) after .*$/, "$1"),
  };
}

/** Servers on node:http2 say the time; a library shows the headers of a trailers-only answer as trailers. */
function withoutDates(pairs: readonly Pair[]): Pair[] {
  return pairs.map(([name, value]) => [name, name === "date" ? "*" : value]);
}

function has(pairs: readonly Pair[], [name, value]: Pair): boolean {
  // Binary values may be padded or not on the wire.
  const bare = (text: string) => (name.endsWith("-bin") ? text.replace(/=+$/, "") : text);
  return pairs.some(([key, other]) => key === name && bare(other) === bare(value));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function say(value: unknown): string {
  return JSON.stringify(value);
}
