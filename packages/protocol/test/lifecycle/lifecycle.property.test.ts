import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  checkCertificate,
  createSnapshotState,
  defaultSnapshotPolicy,
  phaseOf,
  refOf,
  restoreSnapshotState,
  type SnapshotEffect,
  type SnapshotHappening,
  stepSnapshot,
} from "../../src/index.ts";
import { closed, cut, part, process, sent, spec } from "./support.ts";

const ids = ["bank/a", "bank/b", "bank/c"] as const;
const id = fc.constantFrom(...ids);
const incarnation = fc.constantFrom("1", "1", "1", "2");
const ref = fc.record({ snapshotId: fc.constant("s1"), attempt: fc.constantFrom(1, 1, 2, 3) });
/** Stands for the attempt that runs when the input comes. */
const current = { snapshotId: "s1", attempt: 0 };
const facts = fc.tuple(id, incarnation).map(([name, number]) => process(name, number));
const channel = fc.constantFrom("ab:0", "bc:0");
const report = fc.oneof(
  fc.constant(cut()),
  fc.constant(cut({ outgoing: [sent("ab:0", "bank/b", 5)] })),
  fc.constant(cut({ incoming: ["ab:0"], outgoing: [sent("bc:0", "bank/c", 2, 1)] })),
  fc.constant(cut({ incoming: ["bc:0"], callsInProcess: 1 })),
);
const storedPart = fc.oneof(
  fc.tuple(fc.constantFrom("local" as const, "calls" as const), id).map(([kind, owner]) => part(kind, owner, owner)),
  fc
    .tuple(fc.constantFrom("channel" as const, "outbox" as const), channel)
    .map(([kind, owner]) => part(kind, owner, "bank/b")),
);

const happening: fc.Arbitrary<SnapshotHappening> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant("attached" as const), process: facts }) },
  fc.record({ type: fc.constantFrom("detached" as const, "left" as const), processId: id, incarnation }),
  { weight: 12, arbitrary: fc.record({ type: fc.constant("cut" as const), ref, processId: id, incarnation, report }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("channel" as const),
      ref,
      processId: id,
      incarnation,
      report: fc
        .tuple(channel, fc.constantFrom(...ids), fc.integer({ min: 0, max: 5 }), fc.constantFrom(2, 5))
        .map(([name, from, delivered, last]) => closed(name, from, Math.min(delivered, last), last)),
    }),
  },
  { weight: 12, arbitrary: fc.record({ type: fc.constant("partStored" as const), ref, part: storedPart }) },
  fc.record({
    type: fc.constant("captureFailed" as const),
    ref,
    processId: id,
    incarnation,
    reason: fc.constant({ code: "Hung", message: "hung", processId: "" }),
  }),
  fc.record({ type: fc.constant("tick" as const) }),
  { weight: 1, arbitrary: fc.record({ type: fc.constant("abort" as const), message: fc.constant("asked") }) },
);

const answer = {
  write: fc.constantFrom("written" as const, "written" as const, "written" as const, "unknown" as const),
  publication: fc.constantFrom("published" as const, "published" as const, "unknown" as const, "already" as const),
  readBack: fc.constantFrom("completed" as const, "notCompleted" as const, "unknown" as const),
  verified: fc.constantFrom(true, true, true, false),
};

/** What agents send when all goes well: a sends to b, b to c, one frame in flight on each and one in an outbox. */
const ideal: readonly SnapshotHappening[] = [
  said("bank/a", cut({ outgoing: [sent("ab:0", "bank/b", 5)] })),
  said("bank/b", cut({ incoming: ["ab:0"], outgoing: [sent("bc:0", "bank/c", 2, 1)] })),
  said("bank/c", cut({ incoming: ["bc:0"], callsInProcess: 1 })),
  { type: "channel", ref: current, processId: "bank/b", incarnation: "1", report: closed("ab:0", "bank/a", 4, 5) },
  { type: "channel", ref: current, processId: "bank/c", incarnation: "1", report: closed("bc:0", "bank/b", 1, 2) },
  ...ids.map((owner) => ({ type: "partStored" as const, ref: current, part: part("local", owner, owner) })),
  { type: "partStored", ref: current, part: part("calls", "bank/c", "bank/c") },
  { type: "partStored", ref: current, part: part("channel", "ab:0", "bank/b") },
  { type: "partStored", ref: current, part: part("channel", "bc:0", "bank/c") },
  { type: "partStored", ref: current, part: part("outbox", "bc:0", "bank/b") },
];

function said(processId: string, about: ReturnType<typeof cut>): SnapshotHappening {
  return { type: "cut", ref: current, processId, incarnation: "1", report: about };
}

const inherited = { attempt: 1, startedAtMs: 1_001, earlierAttempts: [], processes: [] };

const noise = fc.record({ happening, afterMs: fc.constantFrom(0, 1, 5, 700) });

/** The ideal in any order, some of it twice or never, with noise in between. */
const plausible = fc
  .tuple(
    fc.array(fc.shuffledSubarray([...ideal], { minLength: ideal.length - 1 }), { minLength: 1, maxLength: 3 }),
    fc.array(fc.tuple(fc.nat(40), noise), { maxLength: 4 }),
  )
  .map(([rounds, disturbances]) => {
    const steps = rounds.flat().map((input) => ({ happening: input, afterMs: 5 }));
    for (const [at, disturbance] of disturbances) steps.splice(at, 0, disturbance as (typeof steps)[number]);
    return steps;
  });

const scenario = fc.record({
  steps: fc.oneof({ weight: 3, arbitrary: plausible }, fc.array(noise, { maxLength: 120 })),
  answers: fc.array(fc.record(answer), { minLength: 1, maxLength: 20 }),
  attemptsMax: fc.integer({ min: 1, max: 4 }),
  takenOver: fc.boolean(),
  initiator: fc.constantFrom("", "bank/a"),
  members: fc.oneof(fc.constant<(typeof ids)[number][]>([...ids]), fc.subarray([...ids], { minLength: 1 })),
});

/** Answers every request of the snapshot, as the shell does, from a list of outcomes that repeats. */
function answerTo(
  effect: SnapshotEffect,
  outcomes: {
    write: "written" | "unknown";
    publication: "published" | "unknown" | "already";
    readBack: "completed" | "notCompleted" | "unknown";
    verified: boolean;
  },
): SnapshotHappening | undefined {
  switch (effect.type) {
    case "persist":
      return { type: "persisted", write: effect.write, outcome: outcomes.write };
    case "publish":
      return { type: "publication", outcome: outcomes.publication };
    case "readBack":
      return { type: "publicationReadBack", outcome: outcomes.readBack };
    case "verifyParts":
      return outcomes.verified
        ? { type: "partsVerified", ref: effect.ref }
        : { type: "partsCorrupt", ref: effect.ref, message: "hash differs" };
    default:
      return undefined;
  }
}

describe("whatever happens to a snapshot", () => {
  it("it ends once, by its deadline, separate from its attempts, and Completed only with all of the proof (I1 I2 I5 I6 I8 I9)", () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(scenario, ({ steps, answers, attemptsMax, takenOver, initiator, members }) => {
        const facts = spec({ attemptsMax, initiator, timeoutMs: 30_000 });
        const state = takenOver
          ? restoreSnapshotState(facts, defaultSnapshotPolicy, inherited, facts.createdAtMs)
          : createSnapshotState(facts, defaultSnapshotPolicy);
        let written = !takenOver;
        const effects: SnapshotEffect[] = [];
        let nowMs = state.nowMs;
        let answered = 0;
        const step = (input: SnapshotHappening): void => {
          const before = { attempt: state.attempt, attemptRecorded: state.attemptRecorded };
          const out = stepSnapshot(state, { ...input, nowMs }).effects;
          effects.push(...out);
          for (const effect of out) {
            if (effect.type === "sendStart") {
              assert.equal(effect.ref.attempt, state.attempt);
              assert.ok(state.attemptRecorded >= effect.ref.attempt, "an attempt starts before the store knows of it");
            }
            if (effect.type === "removeParts") {
              assert.ok(effect.attemptThrough <= before.attempt, "parts of a later attempt are removed");
              assert.ok(
                effect.attemptThrough <= state.attemptRecorded,
                "parts of another leader's attempt are removed",
              );
              assert.ok(written, "parts are removed that a publication on its way would need");
            }
            if (effect.type === "sendEnd") {
              assert.ok(effect.ref.attempt <= state.attemptRecorded, "another leader's attempt is ended");
            }
          }
          for (const effect of out) {
            const outcome = answers[answered % answers.length];
            assert.ok(outcome);
            const reply = answerTo(effect, outcome);
            if (reply === undefined) continue;
            answered += 1;
            nowMs += 1;
            written ||= reply.type === "persisted" && reply.outcome === "written";
            step(reply);
          }
        };
        step({ type: "begin", processes: members.map((name) => process(name)) });
        for (const { happening: input, afterMs } of steps) {
          nowMs += afterMs;
          step("ref" in input && input.ref === current ? { ...input, ref: refOf(state) } : input);
        }
        const endByMs = state.spec.createdAtMs + 30_000 + defaultSnapshotPolicy.settleMsMax * 2;
        for (; state.stage !== "ended" && nowMs < endByMs; nowMs += 250) step({ type: "tick" });

        const ends = effects.filter((effect) => effect.type === "ended");
        assert.equal(ends.length, 1, `ended ${ends.length} times`);
        assert.equal(effects.at(-1)?.type, "ended");
        reached.add(ends[0]?.outcome ?? "");
        const completions = effects.filter((effect) => effect.type === "sendEnd" && effect.phase === "Completed");
        const publications = effects.filter((effect) => effect.type === "publish");
        assert.ok(completions.length <= 1);
        if (ends[0]?.outcome === "Completed") {
          assert.ok(publications.length >= 1);
          assert.equal(phaseOf(state), "Completed");
        } else assert.equal(completions.length, 0);
        for (const { document } of publications) {
          assert.equal(document.attempt, publications[0]?.document.attempt, "two attempts were published");
          assert.equal(checkCertificate(document.channels).verdict, "valid");
          for (const entry of document.processes) {
            assert.notEqual(entry.stateSha256, "", "a local state is missing");
            if (entry.callsInProcess > 0) assert.notEqual(entry.callsSha256, "", "calls are missing");
          }
          for (const entry of document.channels) {
            if (entry.recordedCount > 0) assert.notEqual(entry.recordsSha256, "", "records are missing");
            if (entry.outboxCount > 0) assert.notEqual(entry.outboxSha256, "", "an outbox is missing");
          }
        }
      }),
      { numRuns: 3_000, seed: 20_261 },
    );
    assert.deepEqual([...reached].sort(), ["Aborted", "Completed", "Failed", "unresolved"]);
  });

  it("the same inputs give the same effects", () => {
    fc.assert(
      fc.property(scenario, ({ steps, attemptsMax, initiator, members }) => {
        const run = () => {
          const state = createSnapshotState(spec({ attemptsMax, initiator }), defaultSnapshotPolicy);
          let nowMs = state.nowMs;
          const processes = members.map((name) => process(name));
          return [{ happening: { type: "begin", processes } as SnapshotHappening, afterMs: 0 }, ...steps].map((one) => {
            nowMs += one.afterMs;
            return stepSnapshot(state, { ...one.happening, nowMs }).effects;
          });
        };
        assert.deepEqual(run(), run());
      }),
      { numRuns: 200, seed: 7 },
    );
  });
});
