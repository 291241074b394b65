import { type Static, Type } from "@sinclair/typebox";
import { list, object, time, words } from "./structural.ts";

const count = (description: string) => Type.Integer({ description, minimum: 0 });

/** Conditions in the form of `metav1.Condition`. */
const condition = object(
  {
    type: Type.String({ description: "What it says something about.", maxLength: 316 }),
    status: words(["True", "False", "Unknown"], { description: "Whether it holds." }),
    observedGeneration: Type.Integer({ description: "The generation of the spec it was found for.", minimum: 0 }),
    lastTransitionTime: time("When the status changed."),
    reason: Type.String({ description: "One word for programs.", minLength: 1, maxLength: 1_024 }),
    message: Type.String({ description: "One sentence for people.", minLength: 1, maxLength: 32_768 }),
  },
  { description: "One condition." },
);

export type Condition = Static<typeof condition>;

const conditions = (description: string) =>
  list(condition, {
    description,
    maxItems: 16,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
  });

export const snapshotPhases = [
  "Pending",
  "Cutting",
  "Collecting",
  "Verifying",
  "Completed",
  "Failed",
  "Aborted",
] as const;

/** Problems named in one status. */
export const problemsMax = 20;

export const snapshotStatus = object(
  {
    observedGeneration: Type.Optional(
      Type.Integer({ description: "The generation of the spec this status is of.", minimum: 0 }),
    ),
    phase: Type.Optional(words(snapshotPhases, { description: "How far the snapshot is." })),
    reason: Type.Optional(Type.String({ description: "Why it failed or waits, in one word for programs." })),
    message: Type.Optional(Type.String({ description: "Why it failed or waits, in one sentence for people." })),
    snapshotId: Type.Optional(Type.String({ description: "Its id at the coordinator.", maxLength: 64 })),
    attempt: Type.Optional(count("The attempt that runs, or the last one; the first is 1.")),
    term: Type.Optional(count("The term of the coordinator that wrote this status.")),
    processes: Type.Optional(Type.String({ description: "n/m: of m processes n have cut." })),
    channels: Type.Optional(Type.String({ description: "n/m: of m channels n are closed." })),
    inFlightMessages: Type.Optional(count("Messages in the channel states and outboxes.")),
    storedBytes: Type.Optional(count("Bytes stored so far.")),
    exact: Type.Optional(
      Type.Boolean({ description: "Every process proved its capture exact. Only there when the phase is Completed." }),
    ),
    partial: Type.Optional(Type.Boolean({ description: "Calls with peers without an agent are not in the picture." })),
    startedAt: Type.Optional(time("When the coordinator accepted it.")),
    endedAt: Type.Optional(time("When it ended.")),
    problems: Type.Optional(
      list(
        object(
          {
            pod: Type.Optional(Type.String({ description: "NAMESPACE/POD, where it is about one process." })),
            code: Type.String({ description: "What is wrong, in one word for programs." }),
            message: Type.String({ description: "What is wrong, in one sentence for people.", maxLength: 1_024 }),
          },
          { description: "One problem." },
        ),
        { description: "What keeps the snapshot from being whole and exact, and which pod.", maxItems: problemsMax },
      ),
    ),
    conditions: Type.Optional(
      conditions("Accepted, Completed, Failed, Exact (once Completed) and DataAvailable (once ended)."),
    ),
  },
  { description: "Where the snapshot stands. The controller writes it." },
);

export type SnapshotStatus = Static<typeof snapshotStatus>;

/** Running snapshots named in one status. */
export const activeMax = 20;

export const scheduleStatus = object(
  {
    observedGeneration: Type.Optional(
      Type.Integer({ description: "The generation of the spec this status is of.", minimum: 0 }),
    ),
    active: Type.Optional(
      list(Type.String({ maxLength: 253 }), {
        description: "The snapshots of this schedule that have not ended.",
        maxItems: activeMax,
      }),
    ),
    activeCount: Type.Optional(count("How many have not ended.")),
    lastScheduledAt: Type.Optional(time("The newest time for which a snapshot was made.")),
    lastSuccessfulAt: Type.Optional(time("When the newest Completed snapshot ended.")),
    lastMissedAt: Type.Optional(
      time("The newest time for which no snapshot was made, because its starting deadline passed."),
    ),
    nextScheduledAt: Type.Optional(time("The next time. Absent while suspended or not valid.")),
    term: Type.Optional(count("The term of the coordinator that wrote this status.")),
    conditions: Type.Optional(conditions("Valid.")),
  },
  { description: "Where the schedule stands. The controller writes it." },
);

export type ScheduleStatus = Static<typeof scheduleStatus>;
