import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ChannelEvidence, certificateText, checkCertificate } from "@cutline/protocol";
import fc from "fast-check";
import { gather } from "../scenario/global-state.ts";
import { assertConsistent } from "../scenario/observer.ts";
import { type RunPlan, run } from "./random-run.ts";

const plans: fc.Arbitrary<RunPlan> = fc.record({
  processes: fc.integer({ min: 2, max: 6 }),
  links: fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { minLength: 1, maxLength: 9 }),
  openFirst: fc.nat(9),
  tokens: fc.integer({ min: 1, max: 8 }),
  snapshots: fc.integer({ min: 1, max: 4 }),
  choices: fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 250, size: "max" }),
});

describe("every snapshot of a random run", () => {
  it("is complete, consistent (I1), exact (I2), separate (I8), and its certificate is valid", () => {
    const seen = { snapshots: 0, inFlight: 0, outbox: 0, otherMarkers: 0, openedLate: 0 };
    fc.assert(
      fc.property(plans, (plan) => {
        const { world, finished, aborted } = run(plan);
        for (const key of finished) {
          const state = gather(world, key);
          assert.equal(state.outcome, "complete", `${key} is ${state.outcome}`);
          assertConsistent(world, state);
          const evidence = state.channels.map((channel) => channel.evidence);
          assert.deepEqual(checkCertificate(evidence), { verdict: "valid", violations: [] });
          seen.snapshots += 1;
          for (const channel of state.channels) {
            seen.inFlight += channel.inFlight.length;
            seen.outbox += channel.outbox.length;
            if (channel.evidence.markersReceived > 0) seen.otherMarkers += 1;
            if (!channel.evidence.senderReported) seen.openedLate += 1;
          }
        }
        for (const actor of world.actors.values()) {
          for (const [channel, inbox] of actor.inbox) assert.deepEqual(inbox, [], `${channel} holds frames for ever`);
          for (const incoming of actor.state.incoming.values()) {
            assert.deepEqual(incoming.barriers, []);
            assert.deepEqual(incoming.recordings, [], `${incoming.id} is recorded for ever`);
          }
          const known = [...actor.state.snapshots.keys()].filter((key) => aborted.includes(key));
          assert.deepEqual(known, [], `${actor.id} takes part in a snapshot that was given up`);
        }
      }),
      { numRuns: 6_000 },
    );
    // Runs in which nothing interesting happens prove nothing.
    for (const [what, count] of Object.entries(seen)) assert(count > 100, `only ${count} ${what} were seen`);
  });
});

describe("a certificate with one field changed", () => {
  it("is invalid, or proves the same; and its digest is another in every case", () => {
    let invalid = 0;
    fc.assert(
      fc.property(plans, fc.nat(), fc.nat(), fc.integer({ min: -3, max: 3 }), (plan, which, field, by) => {
        const { world, finished } = run(plan);
        for (const key of finished) {
          const evidence = gather(world, key).channels.map((channel) => channel.evidence);
          if (evidence.length === 0) continue;
          const at = which % evidence.length;
          const original = evidence[at];
          assert(original !== undefined);
          const changed = changes[field % changes.length]?.(original, by === 0 ? 4 : by) ?? original;
          const mutated = evidence.with(at, changed);
          // `recordedCount` only repeats the length of `recorded`, and the digest leaves it out.
          const isSame =
            JSON.stringify({ ...changed, recordedCount: 0 }) === JSON.stringify({ ...original, recordedCount: 0 });
          if (!isSame) assert.notEqual(certificateText(mutated), certificateText(evidence));
          const { verdict } = checkCertificate(mutated);
          if (!provesTheSame(original, changed)) {
            assert.equal(verdict, "invalid", `${JSON.stringify(original)} passes as ${JSON.stringify(changed)}`);
            invalid += 1;
          }
        }
      }),
      { numRuns: 4_000 },
    );
    assert(invalid > 200, `only ${invalid} changes mattered`);
  });
});

type NumericField = {
  [K in keyof ChannelEvidence]: ChannelEvidence[K] extends number ? K : never;
}[keyof ChannelEvidence];

const numericFields: readonly NumericField[] = [
  "sentAtCut",
  "markersSent",
  "markersSentSum",
  "markerNumber",
  "markersReceived",
  "markersReceivedSum",
  "deliveredAtCut",
  "deliveredSum",
  "deliveredMax",
  "recordedCount",
];

const changes: readonly ((evidence: ChannelEvidence, by: number) => ChannelEvidence)[] = [
  ...numericFields.map((name) => (evidence: ChannelEvidence, by: number) => ({
    ...evidence,
    [name]: evidence[name] + by,
  })),
  (evidence) => ({ ...evidence, senderReported: !evidence.senderReported }),
  (evidence) => ({ ...evidence, receiverReported: !evidence.receiverReported }),
  (evidence, by) => ({
    ...evidence,
    recorded: evidence.recorded.map((r) => ({ first: r.first + by, last: r.last + by })),
  }),
  (evidence) => ({ ...evidence, recorded: evidence.recorded.slice(1) }),
  (evidence, by) => ({ ...evidence, recorded: evidence.recorded.map((r) => ({ ...r, last: r.last + by })) }),
];

/** Changes that leave what the certificate says about frames as it was. Each is named; all others have to be found out. */
function provesTheSame(original: ChannelEvidence, changed: ChannelEvidence): boolean {
  const differing = (Object.keys(original) as (keyof ChannelEvidence)[]).filter(
    (key) => JSON.stringify(original[key]) !== JSON.stringify(changed[key]),
  );
  const onlyMarkers = changed.deliveredAtCut === 0 && changed.recordedCount === 0;
  switch (differing[0]) {
    case undefined:
      return true;
    // The count and the sum fix the delivered frames; the maximum only has to be possible.
    case "deliveredMax":
      return (
        changed.deliveredAtCut > 0 &&
        changed.deliveredMax >= changed.deliveredAtCut &&
        changed.deliveredMax < changed.markerNumber &&
        !changed.recorded.some(({ first, last }) => first <= changed.deliveredMax && changed.deliveredMax <= last)
      );
    // Nothing but markers was in front of this snapshot's marker: the channel may as well have been opened after the cut.
    case "senderReported":
      return onlyMarkers && (changed.senderReported ? original.markerNumber === 1 : isFirstNumbers(original));
    // A sender who does not know the channel says nothing, whatever stands in its fields.
    case "sentAtCut":
    case "markersSent":
    case "markersSentSum":
      return (
        !original.senderReported && Object.values(changed).every((value) => typeof value !== "number" || value >= 0)
      );
    // No application frame was sent, so a missing receiver hides nothing.
    case "receiverReported":
      return original.sentAtCut === original.markersSent;
    default:
      return false;
  }
}

function isFirstNumbers({ markersReceived: n, markersReceivedSum }: ChannelEvidence): boolean {
  return markersReceivedSum === (n * (n + 1)) / 2;
}
