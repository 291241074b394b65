import type { Snapshot, SnapshotScope } from "@cutline/proto/snapshot";
import type { ListPage, ListQuery } from "./store/port.ts";

/** What the edges (HTTP now, Kubernetes and schedules later) may ask of the coordinator. */
export interface Snapshots {
  start(request: StartRequest): Promise<StartOutcome>;
  /** Running snapshots come with their live progress. */
  get(id: string): Promise<Snapshot | undefined>;
  list(query: ListQuery): Promise<ListPage>;
  abort(id: string): Promise<{ outcome: "aborted"; snapshot: Snapshot } | { outcome: "missing" | "ended" }>;
  /** `running`: abort it first. */
  remove(id: string): Promise<"removed" | "missing" | "running">;
  topology(): Topology;
  /** Ready: this replica leads and its store answers; standby: it answers, and another replica leads. */
  readiness(): Promise<{ outcome: "ready" } | { outcome: "standby" | "notReady"; reasons: readonly string[] }>;
}

export interface StartRequest {
  readonly scope?: SnapshotScope;
  /** A process id: it alone is asked to cut; markers do the rest. */
  readonly initiator?: string;
  readonly timeoutMs?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** How many attempts in all. */
  readonly attempts?: number;
  readonly idempotencyKey?: string;
}

export type StartOutcome =
  | { readonly outcome: "accepted" | "existing"; readonly snapshot: Snapshot }
  | {
      readonly outcome: "refused";
      readonly code: RefusalCode;
      readonly message: string;
      readonly retryAfterMs?: number;
    };

export type RefusalCode =
  | "TooManySnapshots"
  | "TooSoon"
  | "NotLeading"
  | "NoProcesses"
  | "UnknownInitiator"
  | "StoreUnavailable";

export interface Topology {
  readonly term: number;
  /** What is known of the cluster's Services. Absent: they are not asked for. */
  readonly discovery?: {
    /** waiting: nothing yet, and the directory is kept back for it. */
    readonly phase: "waiting" | "known";
    /** Since the API server was last heard. */
    readonly ageMs: number;
    readonly services: number;
    readonly endpointSlices: number;
  };
  readonly processes: readonly TopologyProcess[];
  readonly links: readonly TopologyLink[];
  readonly environment: readonly TopologyEnvironment[];
}

interface TopologyProcess {
  readonly id: string;
  readonly incarnation: string;
  readonly agentVersion: string;
  readonly captureSource: string;
  readonly authorities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly attachedAt: string;
  /** attached, or detached: its stream broke and the grace period runs. */
  readonly phase: "attached" | "detached";
  readonly ready: boolean;
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
}

export interface TopologyLink {
  readonly id: string;
  readonly a: string;
  readonly b: string;
  readonly phase: "connected" | "broken" | "closed";
  readonly openCalls: number;
}

export interface TopologyEnvironment {
  readonly process: string;
  readonly authority: string;
  readonly direction: "inbound" | "outbound";
  readonly calls: number;
  readonly openCalls: number;
}
