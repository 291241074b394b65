import { type ChannelState, type GlobalState, gather } from "./global-state.ts";
import type { Scenario } from "./language.ts";
import { list, renderLines, renderProof, renderShort } from "./render-more.ts";
import type { Actor, LocalPicture } from "./things.ts";
import type { World } from "./world.ts";

/** What a golden file expects, below its line of dashes. */
export function render({ world, snapshots, style }: Scenario): string {
  const states = snapshots.map((key) => gather(world, key));
  const pictures = states.map((state) =>
    style === "short" ? renderShort(world, state) : renderSnapshot(world, state),
  );
  return [...pictures, ...renderLines(world)].join("\n");
}

function renderSnapshot(world: World, state: GlobalState): string {
  const lines = [`snapshot ${state.key} is ${state.outcome}`];
  for (const actor of world.actors.values()) {
    const local = state.locals.get(actor.id);
    const standing = standingOf(actor, local, state.key);
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

function standingOf(actor: Actor, local: LocalPicture | undefined, key: string): string {
  if (actor.standing !== "here") return actor.standing;
  if (local !== undefined && local.incarnation < actor.incarnation) return "crashed since";
  return actor.state.snapshots.get(key)?.phase ?? (actor.state.ended.has(key) ? "ended" : "never heard of it");
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

function historyUntilCut(world: World, process: string, key: string): { sent: string[]; received: string[] } {
  const cutAt = world.events.findIndex((e) => e.type === "cut" && e.key === key && e.process === process);
  const sent: string[] = [];
  const received: string[] = [];
  for (const event of world.events.slice(0, cutAt)) {
    if (event.type === "crashed" && event.process === process) {
      sent.length = 0;
      received.length = 0;
    }
    if (event.type !== "wrote" && event.type !== "received") continue;
    const { from, to } = world.wire(event.channel);
    if (event.type === "wrote" && from === process) sent.push(event.token);
    if (event.type === "received" && to === process) received.push(event.token);
  }
  return { sent, received };
}
