import { endsOf } from "./cases.ts";
import { checkWay } from "./check.ts";
import { ProxyBenchError } from "./errors.ts";
import { createMeter, type Measurement } from "./measure.ts";
import { startWays, type Way, type WaysRequest } from "./ways.ts";
import type { Workshop } from "./workshop.ts";

/** Before everything, of every case: the first calls compile a program that is written in JavaScript. */
const firstWarmUpMsMax = 2_000;

/**
 * Measures every case on every way, round by round, the ways of a case one right after another and in turns first, so
 * that a busy spell of the machine hits all of them.
 */
export async function compareWays(
  workshop: Workshop,
  request: WaysRequest,
  progress: (line: string) => void,
): Promise<Measurement[]> {
  const { options, native } = request;
  progress(`starting and warming up ${options.ways.join(", ")} ...`);
  const firstWarmUpMs = Math.min(firstWarmUpMsMax, options.warmUpMs * 4);
  const ways = await startWays(workshop, request);
  const meter = createMeter(workshop, native);
  for (const way of ways) {
    if (native !== undefined && way.ends === "c") await checkWay(workshop, native, way);
    if (!isInJavaScript(way)) continue;
    for (const one of options.cases.filter((each) => endsOf(each) === way.ends)) {
      await meter.measure(way, one, 0, { warmUpMs: 0, durationMs: firstWarmUpMs });
    }
  }
  const measurements: Measurement[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const one of options.cases) {
      const those = ways.filter(({ ends }) => ends === endsOf(one));
      const first = (round - 1) % those.length;
      for (const way of [...those.slice(first), ...those.slice(0, first)]) {
        const measured = await meter.measure(way, one, round, options);
        if (measured.calls === 0) throw new ProxyBenchError("CallsFailed", `${one.name}, ${way.name}: no call ended`);
        const { cpuUs, callsPerSecond } = measured;
        const hops = way.pair.hops.length === 0 ? "" : `, hops ${(cpuUs.hop1 + cpuUs.hop2).toFixed(1)} us CPU/call`;
        progress(`${round} of ${options.rounds}: ${one.name}, ${way.name}: ${callsPerSecond.toFixed(0)}/s${hops}`);
        measurements.push(measured);
      }
    }
  }
  return measurements;
}

function isInJavaScript({ name, ends }: Way): boolean {
  return name === "agents" || ends === "grpc-js";
}
