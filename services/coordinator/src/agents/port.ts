import type {
  AgentHello,
  AgentStatus,
  ChannelReport,
  CutReport,
  EndSnapshot,
  StartSnapshot,
} from "@cutline/proto/control";
import type { Reason, SnapshotRef } from "@cutline/proto/snapshot";
import type { KnownProcess } from "@cutline/protocol";
import type { PartInfo, PartKind } from "../store/port.ts";

/** The version of the agents' protocol that this coordinator speaks. */
export const protocolVersion = 1;

/** A process of the directory. */
export type KnownAgent = KnownProcess<AgentHello, AgentStatus>;

interface AgentProcess {
  readonly id: string;
  readonly incarnation: string;
  readonly captureSource: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the gRPC side tells and asks the driver. Nothing here waits for the network. */
export interface AgentEvents {
  /** `undefined`: this replica does not lead, and sends agents away. */
  term(): number | undefined;
  attached(process: AgentProcess): void;
  detached(processId: string, incarnation: string): void;
  left(processId: string, incarnation: string): void;
  /** Some grace period has ended. */
  timePassed(): void;
  cut(processId: string, incarnation: string, ref: SnapshotRef, report: CutReport): void;
  channel(processId: string, incarnation: string, ref: SnapshotRef, report: ChannelReport): void;
  captureFailed(processId: string, incarnation: string, ref: SnapshotRef, reason: Reason): void;
  /** The snapshots that run and that this process is part of. */
  running(processId: string, incarnation: string): StartSnapshot[];
  /** How a snapshot ended that an agent still has open. */
  endOf(ref: SnapshotRef): Promise<EndSnapshot>;
  admit(part: PartOffer): PartAdmission;
}

export interface PartOffer {
  readonly ref: SnapshotRef;
  readonly processId: string;
  readonly incarnation: string;
  readonly kind: PartKind;
  /** Process id for `local` and `calls`, channel id for `channel` and `outbox`. */
  readonly owner: string;
  readonly contentType: string;
}

export type PartAdmission =
  | { readonly outcome: "accepted"; readonly upload: PartUpload }
  /** Committed earlier: the repeat is compared, not written. */
  | { readonly outcome: "stored"; readonly info: PartInfo; readonly differs: () => void }
  | { readonly outcome: "refused"; readonly message: string }
  /** An earlier upload of the same part has not ended yet. */
  | { readonly outcome: "busy"; readonly message: string };

/** One part on its way to the store. Exactly one of `commit` and `abort` ends it. */
export interface PartUpload {
  /** Aborted when the attempt is over; what still arrives is for nobody. */
  readonly signal: AbortSignal;
  /** Resolves when the store has taken the chunk. Rejects with a `PartRefused` or a `StoreError`. */
  write(chunk: Uint8Array): Promise<void>;
  commit(info: PartInfo): Promise<void>;
  abort(): Promise<void>;
}

/** A part that is over a limit, or an attempt that is over. */
export class PartRefused extends Error {
  readonly code: "StateTooLarge" | "AttemptOver";

  constructor(code: "StateTooLarge" | "AttemptOver", message: string) {
    super(message);
    this.name = "PartRefused";
    this.code = code;
  }
}

/** What others than the agents themselves say of the authorities of processes. */
export interface Naming {
  /** What full names of the cluster end with. */
  readonly clusterDomain: string;
  /** `waiting`: the directory is kept back, for it would lack authorities that agents may have been told before. */
  readonly phase: "waiting" | "known";
  authoritiesOf(process: AgentHello): readonly string[];
  /** What its agent declares, without names that are others'. */
  declaredBy(process: AgentHello): readonly string[];
  /** Those that lead to it and are open to no new call now. */
  closedAuthoritiesOf(process: AgentHello): readonly string[];
  standing(): NamingStanding;
}

/** How good that picture is. */
export interface NamingStanding {
  readonly phase: "waiting" | "known";
  /** Since the source was last heard; the picture is at least as new as that. */
  readonly ageMs: number;
  readonly services: number;
  readonly endpointSlices: number;
}
