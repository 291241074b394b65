import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { generate } from "./plan/generate.ts";
import { renderPlan } from "./plan/render.ts";
import { shrink } from "./plan/shrink.ts";
import { render } from "./render.ts";
import { type RunResult, run } from "./run.ts";
import { add, type Tally, tallyOf, text } from "./tally.ts";

const usage = `node src/main.ts [--seeds N] [--from S] [--jobs J] [--remember]   runs N schedules, those that ever failed first
                                                                   (--from random: seeds that nobody has run yet)
node src/main.ts --replay SEED [--shrink]                          prints one schedule, or the shortest that fails like it`;

interface Job {
  readonly seeds: readonly number[];
  readonly from: number;
  readonly count: number;
  readonly step: number;
}

interface Failure {
  readonly seed: number;
  readonly verdicts: RunResult["verdicts"];
}

type Message = { readonly tally: Tally; readonly failures: readonly Failure[]; readonly done: boolean };

const seedsFile = fileURLToPath(new URL("../seeds.txt", import.meta.url));
const batch = 200;
const failuresShownMax = 10;
const verdictsShownMax = 3;
/** A seed has 32 bits: one above them would run the schedule of another again. */
const seedsEnd = 2 ** 32;

if (isMainThread) await main();
else work(workerData as Job);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      jobs: { type: "string", default: String(availableParallelism()) },
      remember: { type: "boolean", default: false },
      replay: { type: "string" },
      shrink: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) say(usage);
  else if (values.replay !== undefined) replay(natural("replay", values.replay), values.shrink);
  else {
    const count = natural("seeds", values.seeds);
    // The clock never comes back to where it was, or not for 49 days.
    const from = values.from === "random" ? Date.now() % (seedsEnd - count) : natural("from", values.from);
    if (from + count > seedsEnd) fail(`seeds from ${from} on end beyond 2^32; ask for lower ones`);
    const jobs = natural("jobs", values.jobs);
    if (jobs === 0) fail("--jobs must be at least 1");
    // Said before anything can go wrong: with both, whatever happens can be seen again.
    say(`commit ${commit()}, seeds ${from} to ${from + count - 1}`);
    const failures = await runAll(count, from, jobs);
    if (values.remember && failures.length > 0) remember(failures.map(({ seed }) => seed));
    process.exitCode = failures.length === 0 ? 0 : 1;
  }
}

function natural(name: string, value: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  return fail(`--${name} must be a whole number from 0 on, not ${value}`);
}

function fail(message: string): never {
  complain(`${message}\n${usage}`);
  process.exit(2);
}

/** Where the code stands that runs: a seed names a schedule only together with its generator. */
function commit(): string {
  const git = (...args: string[]) => {
    const { status, stdout } = spawnSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" });
    return status === 0 ? stdout.trim() : undefined;
  };
  const head = git("rev-parse", "--short=10", "HEAD");
  if (head === undefined) return "unknown (no git repository here)";
  // What the schedules depend on, and nothing else.
  const changed = git("status", "--porcelain", "--", ".", "../../protocol/src");
  return changed === "" ? head : `${head} with uncommitted changes`;
}

async function runAll(count: number, from: number, jobs: number): Promise<Failure[]> {
  const begunMs = performance.now();
  const known = knownSeeds();
  const total = tallyOf();
  const failures: Failure[] = [];
  const ended = Array.from({ length: jobs }, (_, index) => {
    const share = (all: readonly number[]) => all.filter((_seed, at) => at % jobs === index);
    const mine = Math.floor(count / jobs) + (index < count % jobs ? 1 : 0);
    const job: Job = { seeds: share(known), from: from + index, count: mine, step: jobs };
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    return new Promise<void>((resolve, reject) => {
      let done = false;
      worker.on("message", (message: Message) => {
        add(total, message.tally);
        for (const failure of message.failures) {
          failures.push(failure);
          if (failures.length <= failuresShownMax) show(failure);
        }
        done ||= message.done;
      });
      worker.on("error", reject);
      worker.on("exit", () => (done ? resolve() : reject(new Error("a worker ended before its work was done"))));
    });
  });
  await Promise.all(ended);
  say(text(total, performance.now() - begunMs, jobs));
  say(`seeds ${from} to ${from + count - 1} and ${known.length} that failed before: ${failures.length} violations`);
  return failures;
}

function work(job: Job): void {
  let tally = tallyOf();
  let failures: Failure[] = [];
  const send = (done: boolean) => {
    parentPort?.postMessage({ tally, failures, done } satisfies Message);
    tally = tallyOf();
    failures = [];
  };
  const one = (seed: number) => {
    const result = run(generate(seed));
    add(tally, tallyOf(result));
    if (result.verdicts.length > 0) failures.push({ seed, verdicts: result.verdicts });
    if (tally.schedules >= batch || failures.length > 0) send(false);
  };
  for (const seed of job.seeds) one(seed);
  for (let i = 0; i < job.count; i += 1) one(job.from + i * job.step);
  send(true);
}

function show({ seed, verdicts }: Failure): void {
  say(`VIOLATION seed ${seed}, commit ${commit()}`);
  for (const { checker, message } of verdicts.slice(0, verdictsShownMax)) say(`  ${checker}: ${message}`);
  say(`  again: npm run sim -- --replay ${seed} --shrink`);
}

function replay(seed: number, short: boolean): void {
  let plan = generate(seed);
  let result = run(plan);
  const first = result.verdicts[0];
  if (short && first !== undefined) {
    plan = shrink(plan, (smaller) => run(smaller).verdicts.some(({ checker }) => checker === first.checker));
    result = run(plan);
  }
  say(`commit ${commit()}\n${renderPlan(plan)}\n\n${render(result.history)}\n`);
  for (const { checker, message } of result.verdicts) say(`${checker}: ${message}`);
  say(result.verdicts.length === 0 ? "no violation" : `${result.verdicts.length} violations`);
  process.exitCode = result.verdicts.length === 0 ? 0 : 1;
}

function knownSeeds(): number[] {
  return readFileSync(seedsFile, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => natural("seeds.txt", line));
}

function remember(seeds: readonly number[]): void {
  const known = new Set(knownSeeds());
  const fresh = seeds.filter((seed) => !known.has(seed));
  writeFileSync(seedsFile, `${readFileSync(seedsFile, "utf8").trimEnd()}\n${fresh.join("\n")}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}
