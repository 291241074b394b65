import { reservePort } from "@cutline/e2e";
import { echoAuthority } from "../contract.ts";
import { type SnapshotsTaken, takeEverySecond } from "../snapshots.ts";
import { meshTls } from "./agent-tls.ts";
import { type AgentPair, startAgentPair } from "./agents.ts";
import { startGrpcJsClient, startGrpcJsEcho } from "./ends.ts";
import { createMeter, type Measurement } from "./measure.ts";
import { authorityFor, type Way, type WaysRequest } from "./ways.ts";
import type { Workshop } from "./workshop.ts";

/** Of each of both applications. */
export const stateBytes = 1_048_576;
const withSdk = { sdk: "participant", stateBytes } as const;

/** One case in one round: without snapshots and with one every second, one right after the other. */
export interface SnapshotRound {
  readonly without: Measurement;
  readonly with: Measurement;
  readonly taken: SnapshotsTaken;
}

/** Which of both comes first changes from round to round. */
export async function compareSnapshots(
  workshop: Workshop,
  request: WaysRequest,
  progress: (line: string) => void,
): Promise<SnapshotRound[]> {
  const { options } = request;
  progress("starting a coordinator, two agents and two applications ...");
  const { way, rest } = await startWay(workshop, request);
  const meter = createMeter(workshop, undefined);
  const rounds: SnapshotRound[] = [];
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const one of options.cases) {
      const quietly = () => meter.measure(way, one, round, options);
      const withSnapshots = async () => {
        const ended = new AbortController();
        const taking = takeEverySecond(rest, ended.signal);
        const measured = await meter.measure(way, one, round, { ...options, warmUpMs: 0 }).finally(() => ended.abort());
        return { measured, taken: await taking };
      };
      const isQuietFirst = round % 2 === 0;
      const early = isQuietFirst ? await quietly() : undefined;
      const { measured, taken } = await withSnapshots();
      const without = early ?? (await quietly());
      // The first one is for getting warm.
      if (round === 0) continue;
      const share = (100 * measured.callsPerSecond) / without.callsPerSecond;
      progress(
        `${round} of ${options.rounds}: ${one.name}: ${without.callsPerSecond.toFixed(0)}/s, with snapshots ${share.toFixed(1)} %`,
      );
      rounds.push({ without, with: measured, taken });
    }
  }
  return rounds;
}

async function startWay(
  workshop: Workshop,
  { options, code, profileFolder }: WaysRequest,
): Promise<{ way: Way; rest: AgentPair["rest"] }> {
  const clientPort = await reservePort();
  const echo = await startGrpcJsEcho(workshop, withSdk);
  const pair = await startAgentPair(workshop, {
    ...{ echoPort: echo.port, code, profileFolder, clientPort },
    tls: meshTls(await authorityFor(workshop, options)),
    capture: "participant",
    authority: echoAuthority,
  });
  const client = await startGrpcJsClient(workshop, withSdk, { port: pair.port, proxyPort: pair.port }, clientPort);
  await pair.ready();
  return { way: { name: "agents", ends: "grpc-js", pair, echo, client }, rest: pair.rest };
}
