import { setTimeout as sleep } from "node:timers/promises";
import { type System, type SystemOptions, startSystem } from "../system/system.ts";
import { Evidence } from "./evidence.ts";
import { harmDone, paymentsEnded, residentBytesMax } from "./load.ts";
import type { SoakOptions } from "./options.ts";
import { Pace } from "./pace.ts";
import { progressLine, reportLines } from "./report.ts";
import { Taking } from "./taking.ts";
import { Tally } from "./tally.ts";

export interface SoakOutcome {
  /** `wrong`: a violation, a branch with the SDK that was flagged, a failed snapshot, or harm to the traffic. */
  readonly outcome: "right" | "wrong" | "interrupted";
  readonly tally: Tally;
  readonly harm: readonly string[];
  /** Where the evidence and the logs are; undefined when there was nothing to keep. */
  readonly folder: string | undefined;
}

const progressMs = 5_000;

/** Runs the bank at full speed and takes snapshots of it. Rejects with a `SystemError` when the bank does not start. */
export async function runSoak(
  options: SoakOptions,
  print: (line: string) => void,
  signal: AbortSignal,
  /** Settings over the soak's own, to make it find something. */
  faults: Pick<SystemOptions, "agentEnvironment" | "coordinatorEnvironment"> = {},
): Promise<SoakOutcome> {
  print(`soak: ${JSON.stringify(options)}`);
  const system = await startSystem({
    store: options.store,
    branches: branchesOf(options),
    ...faults,
    coordinatorEnvironment: {
      CUTLINE_SNAPSHOTS_CONCURRENT_MAX: String(Pace.runningMax(options.overlap)),
      ...faults.coordinatorEnvironment,
    },
  });
  let logs: "keep" | "remove" = "keep";
  try {
    const outcome = await soak(system, options, print, signal);
    if (outcome.folder === undefined) logs = "remove";
    return outcome;
  } finally {
    await system.stop(logs);
  }
}

async function soak(
  system: System,
  options: SoakOptions,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<SoakOutcome> {
  const tally = new Tally(print);
  const evidence = new Evidence(system);
  const paymentsBefore = await paymentsEnded(system);
  const beganMs = performance.now();
  const elapsedMs = () => performance.now() - beganMs;
  const ended = new AbortController();
  const { durationMsMax } = options;
  const stop = AbortSignal.any([
    signal,
    ended.signal,
    ...(durationMsMax === undefined ? [] : [AbortSignal.timeout(Math.ceil(durationMsMax))]),
  ]);

  const telling = tell(async () => {
    const dead = deadProgram(system);
    if (dead !== undefined) {
      tally.fail(dead, "ProgramEnded", `${dead} ended by itself`);
      ended.abort();
      return;
    }
    const payments = (await paymentsEnded(system)) - paymentsBefore;
    print(progressLine(tally, options, elapsedMs(), (payments * 1_000) / elapsedMs()));
  }, ended.signal);
  await new Taking(system, options, tally, evidence, stop).run();
  const tookMs = elapsedMs();
  const payments = (await paymentsEnded(system).catch(() => Number.NaN)) - paymentsBefore;
  ended.abort();
  await telling;

  const residents = new Map<string, number | undefined>();
  for (const { agent } of system.branches) residents.set(agent.name, await residentBytesMax(agent.pid));
  residents.set("coordinator", await residentBytesMax(system.coordinator.pid));
  const harm = await harmDone(system).catch((error: Error) => [`the traffic does not come to rest: ${error.message}`]);
  print("");
  for (const line of reportLines(tally, options, { elapsedMs: tookMs, payments, residentBytesMax: residents, harm }))
    print(line);

  const isWrong =
    tally.counts.violated + tally.failures.size + tally.sdkFlagged > 0 || harm.length > 0 || !evidence.isEmpty;
  const outcome = isWrong ? "wrong" : signal.aborted ? "interrupted" : "right";
  if (isWrong) print(`\nkept: ${system.folder} (logs; the snapshots in question in ${evidence.folder})`);
  return { outcome, tally, harm, folder: isWrong ? system.folder : undefined };
}

function branchesOf(options: SoakOptions) {
  const environment = {
    BRANCH_SEED: String(options.seed),
    // Every other answer carries money, so that a lost one is seen.
    BRANCH_REFUSED_ONE_IN: "2",
    BRANCH_PADDING_BYTES: String(options.paddingBytes),
  };
  const slow = { ...environment, BRANCH_SLOW_READER_MS: String(options.slowReaderMs) };
  const opaque = { ...environment, BRANCH_PAUSE_MS: String(options.opaquePauseMs) };
  return [
    { name: "branch-a", environment },
    { name: "branch-b", environment },
    { name: "branch-c", environment: slow },
    { name: "branch-d", kind: "opaque" as const, environment: opaque },
  ];
}

function deadProgram(system: System): string | undefined {
  const services = [system.coordinator, ...system.branches.flatMap(({ agent, application }) => [agent, application])];
  return services.find(({ standing }) => standing === "ended")?.name;
}

/** Every few seconds, until the signal; what goes wrong in telling does not end the soak. */
async function tell(once: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(progressMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // A branch too busy to answer in time is no finding by itself: the counting at the end is.
    await once().catch(() => undefined);
  }
}
