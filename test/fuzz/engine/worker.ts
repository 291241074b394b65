import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { loadTarget } from "../targets/index.ts";
import { knownInputs } from "./corpus.ts";
import { Inputs } from "./inputs.ts";
import { type Journal, type Work, write } from "./journal.ts";
import type { Session, Target } from "./target.ts";

/** One share of a target's executions, on a thread of its own, so that another one sees it hang or die. */

const work = workerData as Work;

/** After so many executions the event loop has a turn: timers and immediates of the code under test run. */
const turnEvery = 500;
/** After so many, what is held is measured. */
const measureEvery = 20_000;
/** What a session may hold more, after garbage collection, than after its first measurement. */
const heldBytesMax = 48 * 1024 * 1024;

// Refusals are errors by the million, and their stacks are costly.
Error.stackTraceLimit = 5;

const collectGarbage = runInNewContext("gc") as () => void;

function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Looks at memory that is above the limit, and the time between them. */
const againMax = 40;
const againMs = 50;

async function execute(session: Session, journal: Journal, index: number, input: Buffer): Promise<void> {
  write(journal, index, input);
  const outcome = session.run(input);
  if (outcome !== undefined) await outcome;
}

async function main(target: Target): Promise<void> {
  const { journal, seed, first, count } = work;
  const session = await target.open();
  if (first === 0) for (const input of knownInputs(target.name)) await execute(session, journal, -1, input);
  const inputs = new Inputs(target, seed);
  let baseBytes: number | undefined;
  for (let index = first; index < first + count; index += 1) {
    await execute(session, journal, index, inputs.at(index));
    if (index % turnEvery === 0) await new Promise((resolve) => setImmediate(resolve));
    if (index % measureEvery !== 0) continue;
    let bytes = heldBytes();
    // Array buffers that nobody holds are given back some time after a collection.
    for (let again = 0; baseBytes !== undefined && bytes > baseBytes + heldBytesMax && again < againMax; again += 1) {
      await new Promise((resolve) => setTimeout(resolve, againMs));
      bytes = heldBytes();
    }
    // The first measurement is taken when everything has been used once.
    if (index - first < measureEvery) continue;
    baseBytes ??= bytes;
    if (bytes > baseBytes + heldBytesMax) {
      throw new Error(`${bytes - baseBytes} bytes more are held than ${index - first} executions before`);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  await session.close();
}

await main(await loadTarget(work.module));
parentPort?.postMessage("done");
