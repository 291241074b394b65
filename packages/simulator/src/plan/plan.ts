import type { CallScript } from "../data/application.ts";

/** Everything that is decided before a run. A plan and its seed give one history, byte for byte. */
export interface Plan {
  readonly seed: number;
  readonly settings: Settings;
  readonly processes: readonly { readonly id: string; readonly bornAtMs: number; readonly tokens: number }[];
  /** A lane carries one link at a time, dialled by `from`; a pair of processes may have several. */
  readonly lanes: readonly Lane[];
  readonly coordinators: readonly { readonly name: string; readonly aheadMs: number }[];
  /** In the order of their times. */
  readonly actions: readonly Action[];
  /** Every disturbance ends here. */
  readonly calmAtMs: number;
}

export interface Lane {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly openAtMs: number;
}

interface Settings {
  readonly callWindowBytes: number;
  readonly resumeTimeoutMs: number;
  readonly forgetAfterMs: number;
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly inexact: number;
  /** The first capture of each snapshot fails at this process; empty: at none. */
  readonly hiccupAt: string;
}

export type Action = { readonly atMs: number } & (
  | { readonly type: "call"; readonly from: string; readonly to: string; readonly script: CallScript }
  | {
      readonly type: "snapshot";
      readonly id: string;
      readonly initiator: string;
      readonly timeoutMs: number;
      readonly attemptsMax: number;
      /** Empty: everything is stored. */
      readonly namespaces: readonly string[];
      /** So little stands in its way that this attempt has to complete it at the latest; 0: no promise. */
      readonly completesBy: number;
    }
  | { readonly type: "abort"; readonly id: string }
  | { readonly type: "cutLane"; readonly lane: string }
  | { readonly type: "laneDown"; readonly lane: string; readonly forMs: number }
  | {
      readonly type: "laneDirty";
      readonly lane: string;
      readonly duplicated: number;
      readonly reordered: number;
      readonly acknowledgementsLateMs: number;
      readonly forMs: number;
    }
  | { readonly type: "crash"; readonly process: string; readonly restartAfterMs: number | undefined }
  | { readonly type: "leave"; readonly process: string }
  /** Its stream to the coordinator breaks, and no other can be made for so long. */
  | { readonly type: "dropControl"; readonly process: string; readonly forMs: number }
  | { readonly type: "crashCoordinator" | "pauseCoordinator"; readonly name: string; readonly forMs: number }
  | { readonly type: "clock"; readonly of: string; readonly jumpMs: number; readonly rate: number }
  | {
      readonly type: "store";
      readonly latencyMs: number;
      readonly fails: number;
      readonly timesOut: number;
      readonly late: number;
      readonly forMs: number;
    }
  | { readonly type: "captureTrouble"; readonly fails: number; readonly forMs: number }
);

export const probeId = "probe";
