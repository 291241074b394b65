import { arrayOf, asRecord, numberOf, stringOf } from "./json.ts";

/** Who is there to be cut, and who is not, as GET /v1/topology gives it. */
export interface Topology {
  readonly term: number;
  /** What the coordinator knows of the cluster's Services; `undefined`: it does not ask. */
  readonly discovery:
    | { readonly phase: string; readonly ageMs: number; readonly services: number; readonly endpointSlices: number }
    | undefined;
  readonly processes: readonly {
    readonly id: string;
    readonly incarnation: string;
    readonly agentVersion: string;
    readonly captureSource: string;
    readonly authorities: readonly string[];
    readonly attachedAt: string;
    /** attached or detached. */
    readonly phase: string;
    readonly ready: boolean;
    readonly reasons: readonly { readonly code: string; readonly message: string }[];
  }[];
  readonly links: readonly {
    readonly id: string;
    readonly a: string;
    readonly b: string;
    readonly phase: string;
    readonly openCalls: number;
  }[];
  readonly environment: readonly {
    readonly process: string;
    readonly authority: string;
    readonly direction: string;
    readonly calls: number;
    readonly openCalls: number;
  }[];
}

export function readTopology(raw: unknown): Topology {
  const topology = asRecord(raw);
  const discovery = asRecord(topology?.discovery);
  return {
    term: numberOf(topology?.term),
    discovery: discovery && {
      phase: stringOf(discovery.phase),
      ageMs: numberOf(discovery.ageMs),
      services: numberOf(discovery.services),
      endpointSlices: numberOf(discovery.endpointSlices),
    },
    processes: records(topology?.processes).map((entry) => ({
      id: stringOf(entry.id),
      incarnation: stringOf(entry.incarnation),
      agentVersion: stringOf(entry.agentVersion),
      captureSource: stringOf(entry.captureSource),
      authorities: arrayOf(entry.authorities).map(stringOf),
      attachedAt: stringOf(entry.attachedAt),
      phase: stringOf(entry.phase),
      ready: entry.ready === true,
      reasons: records(entry.reasons).map(({ code, message }) => ({
        code: stringOf(code),
        message: stringOf(message),
      })),
    })),
    links: records(topology?.links).map((entry) => ({
      id: stringOf(entry.id),
      a: stringOf(entry.a),
      b: stringOf(entry.b),
      phase: stringOf(entry.phase),
      openCalls: numberOf(entry.openCalls),
    })),
    environment: records(topology?.environment).map((entry) => ({
      process: stringOf(entry.process),
      authority: stringOf(entry.authority),
      direction: stringOf(entry.direction),
      calls: numberOf(entry.calls),
      openCalls: numberOf(entry.openCalls),
    })),
  };
}

function records(value: unknown): Readonly<Record<string, unknown>>[] {
  return arrayOf(value)
    .map(asRecord)
    .filter((entry) => entry !== undefined);
}
