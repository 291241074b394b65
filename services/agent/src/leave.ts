import { setTimeout as delay } from "node:timers/promises";
import type { Http2Server } from "@cutline/h2";
import type { CoordinatorClient } from "./control/coordinator-client.ts";
import type { SnapshotDesk } from "./control/snapshot-desk.ts";
import type { CallRole } from "./dataplane/call/call-host.ts";
import type { FrontDoor } from "./dataplane/front-door.ts";

/** Where connections of one kind come in, and who serves them. */
interface Entrance {
  readonly door: Pick<FrontDoor, "close">;
  readonly http2Server: Pick<Http2Server, "close">;
}

/** Of the data plane, what is looked at while the agent leaves. */
interface LeavingPlane {
  readonly driver: {
    readonly hasRunningCuts: boolean;
    readonly links: ReadonlyMap<string, { readonly calls: { values(): Iterable<{ readonly role: CallRole }> } }>;
  };
  readonly calls: { readonly arrived: number };
  readonly environment: { readonly openInbound: number };
}

export interface LeaveOptions {
  readonly plane: LeavingPlane;
  readonly desk: Pick<SnapshotDesk, "idle">;
  readonly client: Pick<CoordinatorClient, "send">;
  /** For callers without an agent. */
  readonly inbound: Entrance;
  /** For the application. */
  readonly outbound: Entrance;
  readonly graceMs: number;
  now(): number;
  /** Resolves after so many ms of that time. Default: a timer. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

const pollMs = 20;
/** Of the grace period, kept for saying goodbye. */
const goodbyeMs = 500;
/** Other agents have heard that this one leaves when no call has come from them for this long. */
const quietMs = 300;
/** Of the grace period, at most, before the application's own connections are told to end. */
const incomingShare = 0.5;

/**
 * Stops accepting calls to the application, hands over running cuts, tells the coordinator, and lets incoming calls
 * finish. Only then are the application's connections told to end: until its handlers have done their work it may need
 * calls of its own for it. What is open at the end of the grace period is cut.
 */
export async function leave(options: LeaveOptions): Promise<void> {
  const { plane, desk, client, inbound, outbound, graceMs, now, pause = delay } = options;
  const begunMs = now();
  const deadlineMs = begunMs + Math.max(0, graceMs - goodbyeMs);
  const leftMs = () => Math.max(0, deadlineMs - now());
  const until = async (isDone: () => boolean, untilMs = deadlineMs) => {
    while (now() < untilMs && !isDone()) await pause(Math.min(pollMs, untilMs - now()));
  };
  const inboundClosed = close(inbound, leftMs());
  await until(() => !plane.driver.hasRunningCuts);
  await desk.idle(leftMs());
  client.send({ $case: "leaving", value: {} });
  let [seen, quietSinceMs] = [plane.calls.arrived, now()];
  const isQuiet = () => {
    if (plane.calls.arrived !== seen) [seen, quietSinceMs] = [plane.calls.arrived, now()];
    const { incoming } = openCalls(plane);
    return incoming === 0 && (plane.driver.links.size === 0 || now() - quietSinceMs >= quietMs);
  };
  await until(isQuiet, begunMs + (deadlineMs - begunMs) * incomingShare);
  const outboundClosed = close(outbound, leftMs());
  await until(() => {
    const { incoming, outgoing } = openCalls(plane);
    return incoming + outgoing === 0;
  });
  await Promise.all([inboundClosed, outboundClosed]);
}

async function close({ door, http2Server }: Entrance, graceMs: number): Promise<void> {
  await Promise.all([door.close(graceMs), http2Server.close(graceMs)]);
}

/** Calls that are open over links, and incoming ones with callers without an agent. */
function openCalls(plane: LeavingPlane): { readonly incoming: number; readonly outgoing: number } {
  let [incoming, outgoing] = [plane.environment.openInbound, 0];
  for (const link of plane.driver.links.values()) {
    for (const { role } of link.calls.values()) {
      if (role === "callee") incoming += 1;
      else outgoing += 1;
    }
  }
  return { incoming, outgoing };
}
