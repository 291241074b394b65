import { setTimeout as sleep } from "node:timers/promises";
import { reservePort } from "@cutline/e2e";
import { echoAuthority, type StateForm, stateForms } from "../contract.ts";
import type { SnapshotsTaken } from "../snapshots.ts";
import { medianOf } from "../summary.ts";
import { meshTls } from "./agent-tls.ts";
import { type AgentPair, startAgentPair } from "./agents.ts";
import { type Case, endsOf } from "./cases.ts";
import { type Echo, startGrpcJsClient, startGrpcJsEcho, startNativeEcho } from "./ends.ts";
import { startLoad } from "./lasting-load.ts";
import { costOfMany, type Loaded, measurePairs, type StretchPair, takeMany, warmUp } from "./stretches.ts";
import { authorityFor, type Way, type WaysRequest } from "./ways.ts";
import type { Workshop } from "./workshop.ts";

/** Of each of both applications with the SDK. */
export const stateBytes = 1_048_576;

/** What is captured: `opaque`: applications that know nothing of it, without a state. */
export type Captured = StateForm | "opaque";

/** `full` is measured where the shape puts the programs, the others with all of them on all cores. `idle`: no calls. `half`: calls begin at half of the rate that is possible. `full`: as many as there can be. */
export type LoadLevel = "idle" | "half" | "full";

export interface SnapshotMeasurement {
  readonly case: string;
  readonly captured: Captured;
  readonly pairs: readonly StretchPair[];
  /** How long traffic was held, under which load. */
  readonly pauses: readonly { readonly load: LoadLevel; readonly taken: SnapshotsTaken }[];
  /** Processor time of hops, echo and load for one snapshot while there are no calls, in milliseconds. */
  readonly costMs: number;
  readonly failures: number;
}

const warmUpMsMax = 20_000;
const pauseEveryMs = 1_000;
const pausesMs = 60_000;
/** Where not much time is given. */
const pauseEveryMsQuick = 250;

/** Measures all cases one after the other, each under a load that goes on. */
export async function measureSnapshots(
  workshop: Workshop,
  request: WaysRequest,
  progress: (line: string) => void,
): Promise<SnapshotMeasurement[]> {
  const measured: SnapshotMeasurement[] = [];
  const { cases } = request.options;
  const captures: readonly Captured[] = ["opaque", ...stateForms];
  for (const captured of captures) {
    const those = cases.filter((one) => (endsOf(one) === "c") === (captured === "opaque"));
    if (those.length === 0) continue;
    progress(`${captured}: starting a coordinator, two agents and two applications ...`);
    const way = await startWay(workshop, request, captured);
    for (const one of those) measured.push(await measureCase(workshop, request, { one, captured, ...way }, progress));
  }
  return measured;
}

interface CaseAndWay {
  readonly one: Case;
  readonly captured: Captured;
  readonly way: Way;
  readonly rest: AgentPair["rest"];
}

async function measureCase(
  workshop: Workshop,
  { options, native }: WaysRequest,
  { one, captured, way, rest }: CaseAndWay,
  progress: (line: string) => void,
): Promise<SnapshotMeasurement> {
  const { rounds, durationMs, thorough } = options;
  await workshop.place("pinned");
  const load = startLoad(workshop, native, way, one);
  const pids = [load.pid, ...way.pair.hops.map(({ pid }) => pid), way.echo.program.pid];
  const loaded: Loaded = { load, pids, rest };
  await warmUp(loaded, thorough ? warmUpMsMax : durationMs);
  const pairs = await measurePairs(
    loaded,
    { pairs: rounds, stretchMs: durationMs },
    (pair, { without, with: other }) => {
      const share = (100 * other.callsPerSecond) / without.callsPerSecond;
      const byCpu = (100 * without.cpuUs) / other.cpuUs;
      progress(
        `${pair} of ${rounds}: ${one.name}, ${captured}: ${without.callsPerSecond.toFixed(0)}/s, with snapshots ${share.toFixed(1)} %, by CPU ${byCpu.toFixed(1)} %`,
      );
    },
  );
  let failures = await load.end();
  const pauses: SnapshotMeasurement["pauses"][number][] = [
    { load: "full", taken: joined(pairs.map(({ taken }) => taken)) },
  ];
  await workshop.place("free");
  const takenMs = thorough ? pausesMs : durationMs;
  const everyMs = thorough ? pauseEveryMs : pauseEveryMsQuick;
  if (way.client !== undefined) {
    const callsPerSecond = medianOf(pairs.map(({ without }) => without.callsPerSecond)) / 2;
    const half = startLoad(workshop, native, way, one, callsPerSecond);
    await sleep(durationMs);
    pauses.unshift({ load: "half", taken: await takeMany(rest, everyMs, takenMs) });
    failures += await half.end();
  }
  const lasting = [way.client?.program, ...way.pair.hops, way.echo.program].flatMap((each) => each?.pid ?? []);
  const { taken, costMs } = await costOfMany({ pids: lasting, rest }, everyMs, takenMs);
  pauses.unshift({ load: "idle", taken });
  return { case: one.name, captured, pairs, pauses, costMs, failures };
}

function joined(those: readonly SnapshotsTaken[]): SnapshotsTaken {
  const sum = (read: (one: SnapshotsTaken) => number) => those.reduce((total, one) => total + read(one), 0);
  return {
    completed: sum(({ completed }) => completed),
    exact: sum(({ exact }) => exact),
    failed: sum(({ failed }) => failed),
    pausesUs: those.flatMap(({ pausesUs }) => pausesUs),
  };
}

async function startWay(
  workshop: Workshop,
  { options, code, native, profileFolder }: WaysRequest,
  captured: Captured,
): Promise<Pick<CaseAndWay, "way" | "rest">> {
  const sdk = captured === "opaque" ? undefined : ({ sdk: "participant", stateBytes, stateForm: captured } as const);
  const clientPort = await reservePort();
  const echo = await startEcho();
  const pair = await startAgentPair(workshop, {
    ...{ echoPort: echo.port, code, profileFolder, clientPort },
    tls: meshTls(await authorityFor(workshop, options)),
    capture: sdk === undefined ? "none" : "participant",
    authority: echoAuthority,
  });
  const route = { port: pair.port, proxyPort: pair.port };
  const client = sdk && (await startGrpcJsClient(workshop, sdk, route, clientPort));
  await pair.ready();
  return { way: { name: "agents", ends: sdk === undefined ? "c" : "grpc-js", pair, echo, client }, rest: pair.rest };

  function startEcho(): Promise<Echo> {
    if (sdk !== undefined) return startGrpcJsEcho(workshop, sdk);
    if (native === undefined) throw new RangeError("opaque cases need the echo program in C, which was not compiled");
    return startNativeEcho(workshop, native);
  }
}
