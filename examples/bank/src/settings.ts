import { BankError } from "./errors.ts";

export interface PeerAddress {
  name: string;
  /** `host:port`. Through a proxy the name goes along in the CONNECT request and need not resolve here. */
  authority: string;
}

export interface BranchSettings {
  name: string;
  /** Where it serves gRPC. Default: 127.0.0.1. */
  host?: string;
  /** gRPC; 0 takes a free port. */
  port: number;
  openingCents: number;
  /** Unanswered transfers, unanswered routes, and unacknowledged settlements per stream, at most. */
  concurrency: number;
  /** Mean pause after each send; 0 is full speed. */
  pauseMs: number;
  paddingBytes: number;
  /** What reading one settlement takes. */
  slowReaderMs: number;
  /** One payment in this many is refused. */
  refusedOneIn: number;
  seed: string;
  /** How long it goes on serving calls, and sends none, once it is told to stop. Default: 0. */
  leaveMs?: number;
  /** HTTP on 127.0.0.1 with the live state and the switch for the traffic. */
  statusPort?: number;
}

export type ProgramSettings = BranchSettings & { peers: PeerAddress[]; opaqueStatePort?: number };

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the settings of one branch from BRANCH_* variables; throws `SETTING_INVALID` naming the variable. */
export function readSettings(environment: Environment): ProgramSettings {
  const opaqueStatePort = optionalNumber(environment, "BRANCH_OPAQUE_STATE_PORT", 0, 65_535);
  const statusPort = optionalNumber(environment, "BRANCH_STATUS_PORT", 0, 65_535);
  const leaveMs = optionalNumber(environment, "BRANCH_LEAVE_MS", 0, 600_000);
  // An opaque branch is captured in a quiet moment, so it leaves some unless it is told otherwise.
  const gentle = opaqueStatePort !== undefined;
  return {
    name: required(environment, "BRANCH_NAME"),
    port: optionalNumber(environment, "BRANCH_PORT", 0, 65_535) ?? 50_051,
    peers: readPeers(environment.BRANCH_PEERS ?? ""),
    openingCents: optionalNumber(environment, "BRANCH_OPENING_CENTS", 0, 1e12) ?? 1_000_000,
    concurrency: optionalNumber(environment, "BRANCH_CONCURRENCY", 1, 1_000) ?? (gentle ? 2 : 8),
    pauseMs: optionalNumber(environment, "BRANCH_PAUSE_MS", 0, 60_000) ?? (gentle ? 100 : 0),
    paddingBytes: optionalNumber(environment, "BRANCH_PADDING_BYTES", 0, 4_000_000) ?? 0,
    slowReaderMs: optionalNumber(environment, "BRANCH_SLOW_READER_MS", 0, 5_000) ?? 0,
    refusedOneIn: optionalNumber(environment, "BRANCH_REFUSED_ONE_IN", 1, 1_000_000) ?? 50,
    seed: environment.BRANCH_SEED ?? "1",
    ...(environment.BRANCH_HOST ? { host: environment.BRANCH_HOST } : {}),
    ...(leaveMs === undefined ? {} : { leaveMs }),
    ...(statusPort === undefined ? {} : { statusPort }),
    ...(opaqueStatePort === undefined ? {} : { opaqueStatePort }),
  };
}

function required(environment: Environment, variable: string): string {
  const value = environment[variable];
  if (!value) throw new BankError("SETTING_INVALID", `${variable} is missing; set it, for example to "branch-1"`);
  return value;
}

function optionalNumber(environment: Environment, variable: string, least: number, most: number): number | undefined {
  const text = environment[variable];
  if (!text) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new BankError("SETTING_INVALID", `${variable} is "${text}"; it must be an integer from ${least} to ${most}`);
  }
  return value;
}

function readPeers(list: string): PeerAddress[] {
  return list
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [, name, authority] = /^([^=]+)=([^=]+:\d+)$/.exec(entry) ?? [];
      if (name === undefined || authority === undefined) {
        throw new BankError("SETTING_INVALID", `BRANCH_PEERS has "${entry}"; each entry must read name=host:port`);
      }
      return { name, authority };
    });
}
