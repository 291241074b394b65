import { CutlineError, describeError } from "./errors.ts";
import type { Logger } from "./logger.ts";

/** A piece of a program that is started once and stopped once. */
export interface Part {
  readonly name: string;
  /** When it throws, it leaves nothing behind. */
  start(): void | Promise<void>;
  stop(): void | Promise<void>;
  /** How long its stopping may take; what the life cycle gives by default when absent. */
  readonly stopMsMax?: number;
}

export interface LifecycleOptions {
  /** Started in this order, stopped in the reverse. */
  readonly parts: readonly Part[];
  readonly logger: Logger;
  /** 5000 by default. */
  readonly stopMsMax?: number;
  /** How long one part may take to start; 30000 by default. */
  readonly startMsMax?: number;
}

export type StopOutcome =
  | { readonly outcome: "clean" }
  /** These parts failed to stop or took too long; the others are stopped. */
  | { readonly outcome: "unclean"; readonly parts: readonly { readonly name: string; readonly message: string }[] };

export interface Lifecycle {
  /**
   * Starts the parts one after another. When one fails, those before it are stopped again and the error is thrown:
   * `StartFailed`, `StartTimedOut`, or `StopRequested` when `stop` was called meanwhile.
   */
  start(): Promise<void>;
  /** Stops what was started. Never throws; safe to call again: everybody gets the one outcome. */
  stop(): Promise<StopOutcome>;
}

const stopMsMaxDefault = 5_000;
const startMsMaxDefault = 30_000;

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { logger } = options;
  const running: Part[] = [];
  let starting: Promise<void> | undefined;
  let stopping: Promise<StopOutcome> | undefined;
  let stopRequested = false;

  async function startAll(): Promise<void> {
    for (const part of options.parts) {
      if (stopRequested) {
        throw new CutlineError("StopRequested", `stopped before ${part.name} was started`);
      }
      await startOne(part);
      logger.debug({ part: part.name }, "part started");
    }
  }

  async function startOne(part: Part): Promise<void> {
    const startMsMax = options.startMsMax ?? startMsMaxDefault;
    const result = await within(startMsMax, () => part.start());
    if (result.outcome === "failed") {
      const message = `${part.name} did not start: ${describeError(result.error)}`;
      throw new CutlineError("StartFailed", message, { cause: result.error });
    }
    // One that hangs may still hold something, so it is stopped with the others.
    running.push(part);
    if (result.outcome === "timedOut") {
      throw new CutlineError("StartTimedOut", `${part.name} did not start within ${startMsMax} ms`);
    }
  }

  async function stopAll(): Promise<StopOutcome> {
    const unclean: { name: string; message: string }[] = [];
    for (let part = running.pop(); part !== undefined; part = running.pop()) {
      const stopMsMax = part.stopMsMax ?? options.stopMsMax ?? stopMsMaxDefault;
      const { name } = part;
      const result = await within(stopMsMax, part.stop.bind(part));
      if (result.outcome === "ok") {
        logger.debug({ part: name }, "part stopped");
      } else {
        const message =
          result.outcome === "failed" ? describeError(result.error) : `did not stop within ${stopMsMax} ms`;
        logger.error({ part: name, reason: message }, "part did not stop cleanly");
        unclean.push({ name, message });
      }
    }
    return unclean.length === 0 ? { outcome: "clean" } : { outcome: "unclean", parts: unclean };
  }

  return {
    start() {
      starting ??= startAll().catch(async (error: unknown) => {
        stopRequested = true;
        stopping ??= stopAll();
        await stopping;
        throw error;
      });
      return starting;
    },
    stop() {
      stopRequested = true;
      // A start that is under way ends first, within its own bound; its failure is its caller's to report.
      const started = starting?.then(
        () => undefined,
        () => undefined,
      );
      const all = (started ?? Promise.resolve()).then(() => {
        stopping ??= stopAll();
        return stopping;
      });
      return all;
    },
  };
}

type Bounded =
  | { readonly outcome: "ok" }
  | { readonly outcome: "failed"; readonly error: unknown }
  | { readonly outcome: "timedOut" };

async function within(msMax: number, work: () => void | Promise<void>): Promise<Bounded> {
  const timedOut = Promise.withResolvers<Bounded>();
  const timer = setTimeout(() => timedOut.resolve({ outcome: "timedOut" }), msMax);
  try {
    return await Promise.race([settled(work), timedOut.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function settled(work: () => void | Promise<void>): Promise<Bounded> {
  try {
    await work();
    return { outcome: "ok" };
  } catch (error) {
    return { outcome: "failed", error };
  }
}
