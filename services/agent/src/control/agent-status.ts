import type { AgentStatus } from "@cutline/proto/control";
import type { EnvironmentPeer } from "@cutline/proto/snapshot";
import type { TlsCredentials } from "@cutline/runtime";
import type { Application } from "../application.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";

/** How this agent stands, as the coordinator's topology shows it. */
export function statusOf(
  plane: DataPlane,
  application: Application,
  credentials: TlsCredentials | undefined,
  environment: readonly EnvironmentPeer[],
): AgentStatus {
  const { unreadyReason } = application;
  const processId = plane.driver.state.process;
  const unready =
    unreadyReason === undefined ? [] : [{ code: "ApplicationNotReady", message: unreadyReason, processId }];
  // They do not make it unready: what is connected goes on.
  const certificate = (credentials?.reasons ?? []).map((reason) => ({ ...reason, processId }));
  return {
    ready: unreadyReason === undefined,
    reasons: [...unready, ...certificate],
    links: [...plane.driver.links.values()].map((link) => ({
      linkId: link.id,
      peerProcessId: link.peer.processId,
      phase: link.connected ? "connected" : "broken",
      openCalls: link.calls.size,
      sent: link.lastSent,
      received: link.receivedThrough,
    })),
    environment: [...environment],
  };
}
