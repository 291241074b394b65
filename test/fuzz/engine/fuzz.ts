import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { createJournal, read, type Work } from "./journal.ts";

export interface FuzzOptions {
  /** Where the target's module is; see `moduleOf`. */
  readonly module: string;
  readonly executions: number;
  readonly seed: number;
  readonly workers: number;
  /** Without progress for this long an execution hangs. Default 10 s. */
  readonly hangMs?: number;
}

interface Finding {
  readonly seed: number;
  /** Of the execution that was running; -1: of the corpus. */
  readonly index: number;
  readonly message: string;
  readonly inputHex: string;
}

export interface FuzzResult {
  readonly executions: number;
  readonly elapsedMs: number;
  readonly findings: readonly Finding[];
}

/** One execution takes microseconds, or a few milliseconds. */
const hangMsDefault = 10_000;
/** Opening a session, and closing it. */
const startMs = 60_000;
const lookMs = 250;
/** What all workers may take of the machine more than at the start. Far more than they need, far less than a leak. */
const residentBytesMax = 1.5 * 1024 ** 3;

// The workers measure what is held after a collection.
setFlagsFromString("--expose-gc");

/** Runs a target's executions on several threads. Every thread ends at its first finding. */
export async function fuzz({ module, executions, seed, workers, hangMs }: FuzzOptions): Promise<FuzzResult> {
  const share = Math.ceil(executions / workers);
  const begunAtMs = performance.now();
  const shares = Array.from({ length: workers }, (_, at) => ({
    first: at * share,
    count: Math.max(0, Math.min(share, executions - at * share)),
  }));
  const results = await Promise.all(
    shares.map(({ first, count }) => runShare({ module, seed, first, count }, hangMs ?? hangMsDefault)),
  );
  return {
    executions: results.reduce((sum, { begun }) => sum + begun, 0),
    elapsedMs: performance.now() - begunAtMs,
    findings: results.flatMap(({ finding }) => finding ?? []),
  };
}

async function runShare(
  share: Omit<Work, "journal">,
  hangMs: number,
): Promise<{ begun: number; finding: Finding | undefined }> {
  const journal = createJournal();
  const work: Work = { ...share, journal };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  const over = new AbortController();
  const end = Promise.withResolvers<string | undefined>();
  worker.once("message", () => end.resolve(undefined));
  worker.once("error", (error) => end.resolve(describe(error)));
  worker.once("exit", (code) => end.resolve(`the worker ended with code ${code}`));
  const watched = watch(() => read(journal).begun, hangMs, over.signal);
  const message = await Promise.race([end.promise, watched]);
  over.abort();
  const { begun, index, input } = read(journal);
  await worker.terminate();
  const { seed } = share;
  const finding = message === undefined ? undefined : { seed, index, message, inputHex: input.toString("hex") };
  return { begun, finding };
}

/** Resolves with what is wrong, if anything. */
async function watch(begun: () => number, hangMs: number, signal: AbortSignal): Promise<string> {
  const residentBytes = process.memoryUsage.rss();
  let seen = 0;
  let sinceMs = performance.now();
  for (;;) {
    await delay(lookMs, undefined, { signal }).catch(() => "over");
    if (signal.aborted) return "over";
    const now = begun();
    const waitedMs = performance.now() - sinceMs;
    if (now !== seen) {
      seen = now;
      sinceMs = performance.now();
    } else if (waitedMs > (seen === 0 ? startMs : hangMs)) return `no progress for ${Math.round(waitedMs)} ms`;
    const growth = process.memoryUsage.rss() - residentBytes;
    if (growth > residentBytesMax) return `the process has grown by ${growth} bytes`;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
