import type { CertificateEnd } from "../client.ts";
import type { Topology } from "../topology.ts";
import type { Known } from "./findings.ts";

/** All that `check` decides from. */
export interface Facts {
  readonly nowMs: number;
  /** Of this program. */
  readonly version: string;
  readonly server: Known<{ readonly major: string; readonly minor: string }>;
  readonly definitions: readonly { readonly name: string; readonly found: Known<DefinitionFacts | undefined> }[];
  readonly coordinator: Known<CoordinatorFacts>;
  readonly webhooks: Known<readonly WebhookFacts[]>;
  /** What became of a pod that was created for trial and not kept. */
  readonly trial: Known<"injected" | "notInjected"> | undefined;
  /** Those that ask for an agent, and those that have one. */
  readonly pods: Known<readonly PodFacts[]>;
  /** Workloads whose pods ask for an agent. */
  readonly workloads: Known<readonly WorkloadFacts[]>;
  readonly namespaces: Known<readonly NamespaceFacts[]>;
  readonly services: Known<readonly ServiceFacts[]>;
  readonly rights: readonly RightFacts[];
}

export interface DefinitionFacts {
  readonly isEstablished: boolean;
  readonly versions: readonly string[];
  /** Paths of its fields: `spec.timeoutSeconds`. */
  readonly fields: readonly string[];
}

export interface CoordinatorFacts {
  readonly namespace: string;
  readonly name: string;
  readonly pods: readonly {
    readonly name: string;
    readonly isReady: boolean;
    readonly version: string;
    /** The last thing that a container of it says of itself while it does not run. */
    readonly trouble: string;
    /** Its plain CUTLINE_ settings. */
    readonly settings: Readonly<Record<string, string>>;
  }[];
  readonly lease: Known<
    { readonly holder: string; readonly renewedAt: string; readonly durationMs: number } | undefined
  >;
  /** What it says itself. */
  readonly reached: Known<{
    readonly reasons: readonly string[];
    readonly topology: Known<Topology>;
    readonly certificates: Known<readonly CertificateEnd[]>;
  }>;
}

export interface WebhookFacts {
  readonly configuration: string;
  readonly service: string;
  readonly failurePolicy: string;
  /** PEM; empty: none yet. */
  readonly caBundle: string;
}

export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly asksForAgent: boolean;
  readonly hasAgent: boolean;
  /** Of the version that injected it; empty: not injected by the webhook. */
  readonly agentVersion: string;
  /** Pending, Running, Succeeded, Failed. */
  readonly phase: string;
  readonly isGoing: boolean;
  /** What its agent's container says while it does not run. */
  readonly agentTrouble: string;
}

export interface WorkloadFacts {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly traffic: string;
  readonly wantedReplicas: number;
  readonly readyReplicas: number;
}

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ServiceFacts {
  readonly namespace: string;
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly isHeadless: boolean;
}

/** What the coordinator says of processes; `undefined`: it was not reached, or does not tell this user. */
export function topologyIn({ coordinator }: Facts): Topology | undefined {
  if ("unknown" in coordinator || "unknown" in coordinator.value.reached) return undefined;
  const { topology } = coordinator.value.reached.value;
  return "value" in topology ? topology.value : undefined;
}

/** Whether somebody may do something. */
export interface RightFacts {
  readonly who: "user" | "coordinator";
  /** `list pods in shop`. */
  readonly what: string;
  /** For what it is needed. */
  readonly why: string;
  readonly allowed: Known<boolean>;
}
