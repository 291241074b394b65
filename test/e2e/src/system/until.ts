import { setTimeout as sleep } from "node:timers/promises";
import { SystemError } from "./errors.ts";

export interface UntilOptions {
  /** Default 20 s. */
  readonly timeoutMs?: number;
  /** Between two looks. Default 20 ms. */
  readonly everyMs?: number;
  /** Told when it was in vain: what there was instead. */
  readonly otherwise?: () => string;
}

/** Looks until there is something to be found; rejects with `WaitedInVain`. What `find` throws ends the waiting. */
export async function until<T>(
  what: string,
  find: () => T | undefined | Promise<T | undefined>,
  { timeoutMs = 20_000, everyMs = 20, otherwise }: UntilOptions = {},
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs) {
      const instead = otherwise === undefined ? "" : `; ${otherwise()}`;
      throw new SystemError("WaitedInVain", `waited ${timeoutMs} ms in vain for: ${what}${instead}`);
    }
    await sleep(everyMs);
  }
}
