import { Cron } from "croner";

/** A cron expression in a time zone, read and usable. */
interface CronTimes {
  /** The newest time that is not after `ms`. `undefined`: there is none within the library's horizon. */
  latest(ms: number): number | undefined;
  /** The first time after `ms`. */
  next(ms: number): number | undefined;
}

export type CronOutcome =
  | { readonly outcome: "ok"; readonly times: CronTimes }
  | { readonly outcome: "invalid"; readonly message: string };

/** Five fields, as in cron. Of a day's two conditions (day of month, day of week) one must hold, when both are given. */
export function readCron(expression: string, timeZone: string): CronOutcome {
  if (!isTimeZone(timeZone)) {
    return { outcome: "invalid", message: `${timeZone} is not a time zone; give an IANA name such as Europe/Berlin` };
  }
  try {
    const cron = new Cron(expression, { timezone: timeZone, mode: "5-part", paused: true });
    if (cron.nextRun() === null) return { outcome: "invalid", message: `${expression} has no time in the future` };
    return {
      outcome: "ok",
      times: {
        // The library leaves the reference itself out.
        latest: (ms) => cron.previousRuns(1, new Date(ms + 1))[0]?.getTime(),
        next: (ms) => cron.nextRun(new Date(ms))?.getTime(),
      },
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { outcome: "invalid", message: `${expression} is not a cron expression: ${why}` };
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    // A RangeError is how Intl says no.
    return false;
  }
}
