import { checkCertificate } from "@cutline/protocol";
import { type ChannelState, type GlobalState, gather } from "./global-state.ts";
import type { Scenario } from "./language.ts";
import type { World } from "./world.ts";

/** What a golden file expects, below its line of dashes. */
export function render({ world, snapshots }: Scenario): string {
  return snapshots.map((key) => renderSnapshot(world, gather(world, key))).join("\n");
}

function renderSnapshot(world: World, state: GlobalState): string {
  const lines = [`snapshot ${state.key} is ${state.outcome}`];
  for (const actor of world.actors.values()) {
    const local = state.locals.get(actor.id);
    const phase = actor.state.snapshots.get(state.key)?.phase;
    const standing = phase ?? (actor.state.ended.has(state.key) ? "ended" : "never heard of it");
    const failure = local?.failure === undefined ? "" : `, failed: ${local.failure}`;
    if (local?.cut === undefined) {
      lines.push(`  process ${actor.id}: not cut, ${standing}${failure}`);
      continue;
    }
    lines.push(`  process ${actor.id}: cut by ${local.cut.trigger}, ${standing}${failure}; holds ${list(local.held)}`);
    const { sent, received } = historyUntilCut(world, actor.id, state.key);
    lines.push(`    sent ${list(sent)}; received ${list(received)}`);
  }
  const idle = state.channels.filter(isIdle).map((channel) => channel.evidence.id);
  for (const channel of state.channels) if (!isIdle(channel)) lines.push(...renderChannel(state, channel));
  if (idle.length > 0) lines.push(`  channels that carried only the marker: ${idle.join(" ")}`);
  if (state.outcome === "complete") lines.push(...renderProof(world, state));
  return `${lines.join("\n")}\n`;
}

function isIdle({ evidence, outbox }: ChannelState): boolean {
  return evidence.receiverReported && evidence.markerNumber === 1 && evidence.senderReported && outbox.length === 0;
}

function renderChannel(state: GlobalState, { evidence, inFlight, outbox }: ChannelState): string[] {
  const written = outbox.length === 0 ? "" : `, outbox ${list(outbox)}`;
  const opened =
    state.locals.get(evidence.from)?.cut === undefined ? "the sender has not cut" : "opened after the sender's cut";
  const sender = evidence.senderReported
    ? `sent ${evidence.sentAtCut} (${evidence.markersSent} other markers)`
    : opened;
  if (!evidence.receiverReported) return [`  channel ${evidence.id}: not closed${written}`, `    ${sender}`];
  const recorded = evidence.recorded.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return [
    `  channel ${evidence.id}: in flight ${list(inFlight)}${written}`,
    `    ${sender}; marker is frame ${evidence.markerNumber}; ` +
      `received ${evidence.deliveredAtCut}, up to ${evidence.deliveredMax} + recorded ${evidence.recordedCount}` +
      `${recorded.length === 0 ? "" : ` (${recorded.join(", ")})`} + other markers ${evidence.markersReceived}`,
  ];
}

function renderProof(world: World, state: GlobalState): string[] {
  const { verdict, violations } = checkCertificate(state.channels.map((channel) => channel.evidence));
  const held = [...state.locals.values()].flatMap((local) => local.held).length;
  const inFlight = state.channels.flatMap((channel) => channel.inFlight).length;
  const outbox = state.channels.flatMap((channel) => channel.outbox).length;
  const tokens = new Set([
    ...world.events.flatMap((event) => (event.type === "wrote" ? [event.token] : [])),
    ...[...world.actors.values()].flatMap((actor) => [...actor.holding]),
  ]);
  return [
    `  certificate is ${verdict}`,
    ...violations.map(({ code, message }) => `    ${code}: ${message}`),
    `  tokens: ${held} held + ${inFlight} in flight + ${outbox} in outboxes = ${held + inFlight + outbox} of ${tokens.size}`,
  ];
}

function historyUntilCut(world: World, process: string, key: string): { sent: string[]; received: string[] } {
  const cutAt = world.events.findIndex((e) => e.type === "cut" && e.key === key && e.process === process);
  const sent: string[] = [];
  const received: string[] = [];
  for (const event of world.events.slice(0, cutAt)) {
    if (event.type === "wrote" && event.channel.startsWith(`${process}>`)) sent.push(event.token);
    if (event.type === "received" && event.channel.endsWith(`>${process}`)) received.push(event.token);
  }
  return { sent, received };
}

function list(words: readonly string[]): string {
  return words.length === 0 ? "nothing" : words.join(" ");
}
