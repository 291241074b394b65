import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@cutline/e2e";
import { Faults } from "./faults.ts";
import { type ChaosMesh, startMesh } from "./mesh.ts";
import { Pictures } from "./pictures.ts";
import { createRandom } from "./random.ts";
import type { ChaosResult } from "./result.ts";
import { Traffic } from "./traffic.ts";

export interface ChaosOptions {
  /** Received, in all applications together, before the calls are brought to their ends. */
  readonly messages: number;
  /** Connections ended by faults before the restarts begin; messages go on until then. */
  readonly cuts: number;
  readonly store: "embedded" | "redis";
  readonly places: number;
  readonly lanes: number;
  readonly restarts: number;
  /** One silence beyond three pings, with the faults. */
  readonly silence: "with" | "without";
  readonly msMax: number;
  readonly seed: number;
}

const quietMsMax = 60_000;
const lookEveryMs = 250;
const toldMax = 10;
/** Of the messages that came before the restarts, this part more comes after each of them. */
const betweenRestarts = 0.03;

/** Runs the mesh through its faults; what was found is in the result. Rejects when the mesh cannot be run at all. */
export async function runChaos(options: ChaosOptions, print: (line: string) => void): Promise<ChaosResult> {
  const mesh = await startMesh(options);
  let logs: "keep" | "remove" = "keep";
  try {
    const result = await runOn(mesh, options, print);
    if (result.problems.length === 0) logs = "remove";
    else print(`logs: ${mesh.folder}`);
    return result;
  } finally {
    const ends = await mesh.stop(logs);
    for (const end of ends) print(end);
  }
}

async function runOn(mesh: ChaosMesh, options: ChaosOptions, print: (line: string) => void): Promise<ChaosResult> {
  const beganMs = performance.now();
  const random = createRandom(options.seed);
  const traffic = new Traffic(mesh);
  const pictures = new Pictures(mesh);
  const proxies = mesh.places.map(({ proxy }) => proxy);
  const faults = new Faults(proxies, random);
  const problems: string[] = [];
  const stopFaults = new AbortController();
  const stopPictures = new AbortController();
  const injecting = faults.run(stopFaults.signal);
  const taking = pictures.run(stopPictures.signal);
  const isLate = () => performance.now() - beganMs > options.msMax;
  const upTo = async (messages: number) => {
    const isThere = () => traffic.messages >= messages && faults.cuts >= options.cuts;
    for (let looks = 0; !isThere() && !isLate(); looks += 1) {
      await sleep(lookEveryMs);
      await traffic.look();
      if (looks % 40 === 39) print(progress(traffic, faults, pictures, options, performance.now() - beganMs));
    }
  };

  if (options.silence === "with") await faults.inject("silence beyond three pings");
  await upTo(options.messages);
  const between = Math.ceil(traffic.messages * betweenRestarts);
  for (let at = 0; at < options.restarts && !isLate(); at += 1) {
    const place = mesh.places[at % mesh.places.length];
    if (place !== undefined) await traffic.restart(place);
    await upTo(traffic.messages + between);
  }
  if (isLate()) problems.push(`after ${options.msMax} ms only ${traffic.messages} messages had come`);

  stopFaults.abort();
  await injecting;
  stopPictures.abort();
  await taking;
  await mesh.stopCalls();
  await until(
    "the end of all calls",
    async () => {
      await traffic.look();
      return traffic.openCalls === 0 ? "ended" : undefined;
    },
    { timeoutMs: quietMsMax, everyMs: 100 },
  ).catch(() => problems.push(`${traffic.openCalls} calls have not ended, ${quietMsMax} ms after the last was made`));
  if ((await pictures.take()) !== "exact") problems.push("at rest, the last snapshot is not exact");

  const judged = traffic.judge();
  const links = await mesh.linkCounts();
  problems.push(...firstOf(judged.problems), ...firstOf(pictures.wrong));
  for (const name of ["lost", "doubled", "reordered", "damaged"] as const) {
    if (traffic.finding(name) !== 0) problems.push(`${traffic.finding(name)} messages were ${name}`);
  }
  return {
    options,
    tookMs: performance.now() - beganMs,
    messages: traffic.messages,
    lost: traffic.finding("lost"),
    doubled: traffic.finding("doubled"),
    reordered: traffic.finding("reordered"),
    damaged: traffic.finding("damaged"),
    calls: traffic.callsOk(),
    endedByRestarts: judged.ended,
    refusedAtRestarts: judged.refused,
    cancelledByRestarts: judged.cancelled,
    lastEndedAfterMs: judged.lastAfterMs,
    restarts: traffic.restarts,
    faults: faults.counts,
    links: links.links,
    resumes: links.connections - links.links,
    pictures: pictures.counts,
    wrong: pictures.wrong.length,
    problems,
  };
}

/** What goes wrong goes wrong often, and the first ones tell the most. */
function firstOf(problems: readonly string[]): string[] {
  const rest = problems.length - toldMax;
  return [...problems.slice(0, toldMax), ...(rest > 0 ? [`and ${rest} more of these`] : [])];
}

function progress(
  traffic: Traffic,
  faults: Faults,
  pictures: Pictures,
  { messages }: ChaosOptions,
  elapsedMs: number,
): string {
  const { taken, exact } = pictures.counts;
  return `${(elapsedMs / 1_000).toFixed(0)} s  ${traffic.messages}/${messages} messages  ${faults.cuts} cuts  ${taken} snapshots, ${exact} exact  ${traffic.restarts} restarts`;
}
