import { setTimeout as delay } from "node:timers/promises";
import type { CoordinatorClient } from "./control/coordinator-client.ts";
import type { SnapshotDesk } from "./control/snapshot-desk.ts";
import type { DataPlane } from "./dataplane/data-plane.ts";
import type { FrontDoor } from "./dataplane/front-door.ts";
import type { Http2Server } from "./dataplane/http2/port.ts";

export interface LeaveOptions {
  readonly plane: DataPlane;
  readonly desk: SnapshotDesk;
  readonly client: CoordinatorClient;
  readonly doors: readonly FrontDoor[];
  readonly http2Servers: readonly Http2Server[];
  readonly graceMs: number;
  now(): number;
}

const pollMs = 20;
/** Of the grace period, kept for saying goodbye. */
const goodbyeMs = 500;

/** Stops accepting, lets open calls finish, hands over running cuts, and tells the coordinator. */
export async function leave(options: LeaveOptions): Promise<void> {
  const { plane, desk, client, doors, http2Servers, graceMs, now } = options;
  const deadlineMs = now() + Math.max(0, graceMs - goodbyeMs);
  const leftMs = () => Math.max(0, deadlineMs - now());
  const closed = Promise.all([...doors, ...http2Servers].map((each) => each.close(leftMs())));
  while (leftMs() > 0 && plane.driver.hasRunningCuts) await delay(Math.min(pollMs, leftMs()));
  await desk.idle(leftMs());
  client.send({ $case: "leaving", value: {} });
  while (leftMs() > 0 && plane.calls.openCalls > 0) await delay(Math.min(pollMs, leftMs()));
  await closed;
}
