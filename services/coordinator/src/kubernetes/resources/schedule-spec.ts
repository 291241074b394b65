import { type Static, Type } from "@sinclair/typebox";
import { snapshotSpec } from "./snapshot-spec.ts";
import { object, rules, textMap, words } from "./structural.ts";

/** One field of a cron expression: values, ranges and steps of what `value` matches, with names as `names` says. */
function cronField(value: string): string {
  const one = `(\\*|(${value})(-(${value}))?)(/[1-9][0-9]?)?`;
  return `${one}(,${one})*`;
}

const minute = cronField("[0-5]?[0-9]");
const hour = cronField("[01]?[0-9]|2[0-3]");
const dayOfMonth = cronField("0?[1-9]|[12][0-9]|3[01]");
const month = cronField("0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC");
const dayOfWeek = cronField("[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT");

/** Five fields, each within its range; upper case names. RE2 and JavaScript read it alike. */
const cronPattern = `^${[minute, hour, dayOfMonth, month, dayOfWeek].map((field) => `(${field})`).join(" ")}$`;

const timeZonePattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$";

export const scheduleSpec = object(
  {
    schedule: Type.String({
      description:
        "When: minute, hour, day of month, month, day of week, as in cron; names in upper case (JAN, MON). Example: 0 3 * * MON-FRI",
      minLength: 9,
      maxLength: 200,
      ...rules({
        rule: `self.matches('${cronPattern.replaceAll("\\", "\\\\")}')`,
        message: "must be five cron fields, each within its range, such as 0 3 * * MON-FRI",
      }),
    }),
    timeZone: Type.String({
      description: "The time zone of the schedule, by its IANA name.",
      default: "Etc/UTC",
      minLength: 1,
      maxLength: 64,
      pattern: timeZonePattern,
    }),
    suspend: Type.Boolean({ description: "While true, no snapshot is started. Running ones go on.", default: false }),
    concurrencyPolicy: words(["Allow", "Forbid", "Replace"], {
      description:
        "When the one before still runs: Allow starts another, Forbid waits for its end (until the starting deadline), Replace aborts it.",
      default: "Forbid",
    }),
    startingDeadlineSeconds: Type.Integer({
      description: "A snapshot that could not be started so long after its time is skipped, and counted as missed.",
      minimum: 10,
      maximum: 86_400,
      default: 60,
    }),
    successfulHistoryLimit: Type.Integer({
      description:
        "Completed snapshots of this schedule that are kept; older ones are deleted, with their data as their policy says.",
      minimum: 0,
      maximum: 100,
      default: 10,
    }),
    failedHistoryLimit: Type.Integer({
      description: "Failed and aborted snapshots of this schedule that are kept.",
      minimum: 0,
      maximum: 100,
      default: 3,
    }),
    template: object(
      {
        metadata: Type.Optional(
          object(
            {
              labels: Type.Optional(
                textMap({ description: "Labels of each GlobalSnapshot.", maxProperties: 32, valueCharsMax: 63 }),
              ),
              annotations: Type.Optional(
                textMap({
                  description: "Annotations of each GlobalSnapshot.",
                  maxProperties: 32,
                  valueCharsMax: 4_096,
                }),
              ),
            },
            { description: "Metadata of each GlobalSnapshot." },
          ),
        ),
        spec: Type.Optional(snapshotSpec),
      },
      { description: "The GlobalSnapshot that is made each time.", default: {} },
    ),
  },
  { description: "When snapshots are taken, and which." },
);

export type ScheduleSpec = Static<typeof scheduleSpec>;
