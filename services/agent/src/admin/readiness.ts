/** Why an agent is not ready, or is ready with a reservation. */
interface ReadinessReason {
  readonly code:
    | "Starting"
    | "IdentityMissing"
    | "Leaving"
    | "CoordinatorNotAttached"
    | "LinksDown"
    | "LinkDown"
    | "ApplicationUnreachable"
    | "ApplicationNotReady";
  /** What is missing, and what to do. */
  readonly message: string;
}

export interface Readiness {
  readonly outcome: "ready" | "unready";
  /** Empty when it is ready. */
  readonly missing: readonly ReadinessReason[];
  /** What is not as it should be and does not make it unready. */
  readonly reservations: readonly ReadinessReason[];
}

/**
 * `serving`: ready as long as this process can serve; what is wrong elsewhere does not count. `strict`: ready only while
 * everything is up.
 */
export type ReadinessRule = "serving" | "strict";

export const readinessRules = ["serving", "strict"] as const satisfies readonly ReadinessRule[];

/** What readiness is judged by, at this instant. */
export interface ReadinessFacts {
  readonly phase: "starting" | "serving" | "leaving";
  readonly coordinator: {
    readonly address: string;
    readonly attached: boolean;
    /** Whether it has been attached since the agent started. */
    readonly wasAttached: boolean;
    /** Why not, where that is known. */
    readonly reason: string | undefined;
  };
  /** Of the links that are not dead. */
  readonly links: readonly {
    readonly peer: string;
    readonly connected: boolean;
    readonly wasConnected: boolean;
  }[];
  readonly application: {
    readonly address: string;
    /** Why calls cannot be handed over. */
    readonly reason: string | undefined;
    /** Why no capture would be tried. */
    readonly uncapturable: string | undefined;
  };
}

/** Peers named in one message. */
const namedMax = 5;

/**
 * A link that has never been up does not count under either rule: two processes that become reachable only when they
 * are ready would wait for each other for ever. Under `serving` a lost coordinator and single broken links do not count
 * either: they are the trouble of others, and to take this process out of service for it would spread it.
 */
export function judgeReadiness(facts: ReadinessFacts, rule: ReadinessRule): Readiness {
  const missing: ReadinessReason[] = [];
  const reservations: ReadinessReason[] = [];
  if (facts.phase === "starting") {
    missing.push({ code: "Starting", message: "the agent is opening its ports; wait for it" });
  }
  if (facts.phase === "leaving") {
    missing.push({
      code: "Leaving",
      message: "the agent was told to stop and lets open calls finish; send new ones elsewhere",
    });
  }
  judgeCoordinator(facts, rule === "strict" ? missing : reservations, missing);
  judgeLinks(facts, rule, missing, reservations);
  const { address, reason, uncapturable } = facts.application;
  if (reason !== undefined) {
    missing.push({
      code: "ApplicationUnreachable",
      message: `the application at ${address} cannot be reached: ${reason}; start it, or correct CUTLINE_APPLICATION_ADDRESS`,
    });
  }
  if (reason === undefined && uncapturable !== undefined) {
    const message = `snapshots of this process fail for now: ${uncapturable}`;
    reservations.push({ code: "ApplicationNotReady", message });
  }
  return { outcome: missing.length === 0 ? "ready" : "unready", missing, reservations };
}

function judgeCoordinator(
  { coordinator }: ReadinessFacts,
  whenLost: ReadinessReason[],
  whenNeverThere: ReadinessReason[],
): void {
  const { address, attached, wasAttached, reason } = coordinator;
  if (attached) return;
  const why = reason === undefined ? "" : `: ${reason}`;
  const code = "CoordinatorNotAttached";
  if (wasAttached) {
    const message = `the coordinator at ${address} is lost${why}; traffic goes on, snapshots wait; see that it runs`;
    whenLost.push({ code, message });
  } else {
    const message = `the coordinator at ${address} has not been reached yet${why}; start it, or correct CUTLINE_COORDINATOR_ADDRESS`;
    whenNeverThere.push({ code, message });
  }
}

function judgeLinks(
  { links }: ReadinessFacts,
  rule: ReadinessRule,
  missing: ReadinessReason[],
  reservations: ReadinessReason[],
): void {
  const broken = links.filter(({ connected, wasConnected }) => wasConnected && !connected);
  if (broken.length === 0) return;
  const named = broken.slice(0, namedMax).map(({ peer }) => peer);
  const peers =
    broken.length > namedMax ? `${named.join(", ")} and ${broken.length - namedMax} more` : named.join(", ");
  if (!links.some(({ connected }) => connected)) {
    const message = `every link is broken (to ${peers}): this process seems to be cut off; see its network, and whether these processes run`;
    missing.push({ code: "LinksDown", message });
    return;
  }
  const message = `the link to ${peers} is broken and waits for a resume; see whether that process runs`;
  (rule === "strict" ? missing : reservations).push({ code: "LinkDown", message });
}
