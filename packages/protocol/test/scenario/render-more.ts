import { checkCertificate } from "@cutline/protocol";
import type { GlobalState } from "./global-state.ts";
import { tokensAt } from "./observer.ts";
import type { World } from "./world.ts";

/** Many processes: a line for each process and for each channel that has something in it, and the rest in sums. */
export function renderShort(world: World, state: GlobalState): string {
  const lines = [`snapshot ${state.key} is ${state.outcome}`];
  for (const actor of world.actors.values()) {
    const local = state.locals.get(actor.id);
    const failure = local?.failure === undefined ? "" : `, failed: ${local.failure}`;
    const cut = local?.cut === undefined ? "not cut" : `cut by ${local.cut.trigger}`;
    lines.push(`  ${actor.id}: ${cut}${failure}; holds ${list(local?.held ?? [])}`);
  }
  for (const { evidence, inFlight, outbox } of state.channels) {
    if (inFlight.length > 0) lines.push(`  ${evidence.id}: in flight ${list(inFlight)}`);
    if (outbox.length > 0) lines.push(`  ${evidence.id}: outbox ${list(outbox)}`);
  }
  const sum = { closed: 0, sent: 0, received: 0, recorded: 0, markers: 0 };
  for (const { evidence } of state.channels) {
    if (!evidence.receiverReported) continue;
    sum.closed += 1;
    sum.sent += evidence.sentAtCut;
    sum.received += evidence.deliveredAtCut;
    sum.recorded += evidence.recordedCount;
    sum.markers += evidence.markersReceived;
  }
  lines.push(
    `  ${sum.closed} of ${state.channels.length} channels closed: sent ${sum.sent} = ` +
      `received ${sum.received} + recorded ${sum.recorded} + other markers ${sum.markers}`,
  );
  if (state.outcome === "complete") lines.push(...renderProof(world, state));
  return `${lines.join("\n")}\n`;
}

/** What happened below the numbers, where anything did. */
export function renderLines(world: World): string[] {
  const lines: string[] = [];
  for (const { id, line, state } of world.wires.values()) {
    const { connections, ...rest } = line.seen;
    const told = Object.entries(rest).filter(([, count]) => count > 0);
    if (connections === 1 && told.length === 0) continue;
    const counts = told.map(([what, count]) => `${words[what] ?? what} ${count}`);
    const kept = state === "lost" ? "lost" : `keeps ${line.keptFrames}`;
    lines.push(`  ${id}: ${[`connections ${connections}`, ...counts, kept].join(", ")}`);
  }
  return lines.length === 0 ? [] : [`below the numbers\n${lines.join("\n")}\n`];
}

const words: Readonly<Record<string, string>> = {
  refused: "late connections refused",
  sentAgain: "sent again",
  duplicates: "duplicates dropped",
  gaps: "gaps that broke the connection",
  acknowledgements: "acknowledgements heeded",
  stale: "late acknowledgements ignored",
};

export function renderProof(world: World, state: GlobalState): string[] {
  const { verdict, violations } = checkCertificate(state.channels.map((channel) => channel.evidence));
  const tokens = (all: readonly string[]) => all.filter((token) => !world.signs.has(token)).length;
  const held = tokens([...state.locals.values()].flatMap((local) => local.held));
  const inFlight = tokens(state.channels.flatMap((channel) => channel.inFlight));
  const outbox = tokens(state.channels.flatMap((channel) => channel.outbox));
  return [
    `  certificate is ${verdict}`,
    ...violations.map(({ code, message }) => `    ${code}: ${message}`),
    `  tokens: ${held} held + ${inFlight} in flight + ${outbox} in outboxes = ${held + inFlight + outbox} of ${tokensAt(world, state.key).length}`,
  ];
}

export function list(words: readonly string[]): string {
  return words.length === 0 ? "nothing" : words.join(" ");
}
