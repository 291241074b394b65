import type { Logger } from "./logger.ts";

export type Signal = "SIGTERM" | "SIGINT" | "SIGHUP";

/** The part of Node's `process` that is needed here; `main.ts` passes it in. */
export interface ProcessEvents {
  on(event: Signal | "uncaughtException" | "unhandledRejection", listener: (detail: unknown) => void): unknown;
  off(event: Signal | "uncaughtException" | "unhandledRejection", listener: (detail: unknown) => void): unknown;
}

export interface RunUntilSignalOptions {
  readonly process: ProcessEvents;
  readonly logger: Logger;
  /** SIGTERM and SIGINT by default. */
  readonly signals?: readonly Signal[];
  /** Stops the program in order. Called at most once. */
  readonly stop: (signal: Signal) => Promise<unknown>;
  /** The program ends after this time even when `stop` still runs. */
  readonly graceMs: number;
  readonly exit: (code: number) => void;
}

const signalNumbers: Readonly<Record<Signal, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/**
 * Ends the program at the first signal: 0 when `stop` ended well, 1 when it failed or outlasted `graceMs`. A second
 * signal ends it at once, with 128 + its number. What nobody caught is logged and ends it with 1 without stopping
 * anything, for its state is then unknown. Resolves with the code after `exit` was called.
 */
export function runUntilSignal(options: RunUntilSignalOptions): Promise<number> {
  const { logger, process } = options;
  const ended = Promise.withResolvers<number>();
  const signals = options.signals ?? (["SIGTERM", "SIGINT"] as const);
  const listeners: (() => void)[] = [];
  let graceTimer: NodeJS.Timeout | undefined;
  let phase: "running" | "stopping" | "ended" = "running";

  function end(code: number): void {
    if (phase === "ended") {
      return;
    }
    phase = "ended";
    clearTimeout(graceTimer);
    for (const remove of listeners) {
      remove();
    }
    options.exit(code);
    ended.resolve(code);
  }

  function listen(event: Parameters<ProcessEvents["on"]>[0], listener: (detail: unknown) => void): void {
    process.on(event, listener);
    listeners.push(() => process.off(event, listener));
  }

  function onSignal(signal: Signal): void {
    if (phase === "stopping") {
      logger.warn({ signal }, "second signal: ending at once");
      end(128 + signalNumbers[signal]);
      return;
    }
    phase = "stopping";
    logger.info({ signal, graceMs: options.graceMs }, "stopping");
    graceTimer = setTimeout(() => {
      logger.error({ graceMs: options.graceMs }, "stopping outlasted its grace period");
      end(1);
    }, options.graceMs);
    void stopAndEnd(signal);
  }

  async function stopAndEnd(signal: Signal): Promise<void> {
    try {
      await options.stop(signal);
      logger.info({}, "stopped");
      end(0);
    } catch (error) {
      logger.error({ error }, "stopping failed");
      end(1);
    }
  }

  for (const signal of signals) {
    listen(signal, () => onSignal(signal));
  }
  listen("uncaughtException", (error) => {
    logger.error({ error }, "uncaught exception");
    end(1);
  });
  listen("unhandledRejection", (error) => {
    logger.error({ error }, "unhandled rejection");
    end(1);
  });
  return ended.promise;
}
