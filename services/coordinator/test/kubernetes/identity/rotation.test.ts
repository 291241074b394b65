import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type AuthorityState,
  activeOf,
  bundleOf,
  policyProblem,
  type RotationPolicy,
  rotate,
  upcomingOf,
} from "../../../src/kubernetes/identity/rotation.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const policy: RotationPolicy = {
  authorityLifeMs: 365 * dayMs,
  certificateLifeMs: dayMs,
  overlapMs: 7 * dayMs,
  marginMs: 10 * minuteMs,
};

/** Authorities A, B, C, ... in the order in which they are made. */
function minter(lifeMs = policy.authorityLifeMs) {
  let made = 0;
  return (nowMs: number) => {
    made += 1;
    const name = String.fromCharCode(64 + made);
    return { certificate: name, key: `key of ${name}`, untilMs: nowMs + lifeMs };
  };
}

function step(state: AuthorityState | undefined, nowMs: number, mint: ReturnType<typeof minter>, mayUseNext = true) {
  return rotate(state, nowMs, policy, { mint, mayUseNext });
}

describe("the rotation of authorities", () => {
  it("goes: begin, rest, announce, rest, use, rest, drop", () => {
    const mint = minter();
    const begun = step(undefined, 0, mint);
    assert.equal(bundleOf(begun), "A");
    assert.equal(activeOf(begun)?.certificate, "A");
    assert.equal(step(begun, 200 * dayMs, mint), begun, "the same object: nothing is written");

    const announced = step(begun, 250 * dayMs, mint);
    assert.equal(bundleOf(announced), "AB");
    assert.equal(activeOf(announced)?.certificate, "A", "the next one is believed, and issues nothing yet");
    assert.equal(step(announced, 256 * dayMs, mint), announced);

    const used = step(announced, 257 * dayMs, mint);
    assert.equal(bundleOf(used), "AB");
    assert.equal(activeOf(used)?.certificate, "B");
    assert.equal(used.authorities[0]?.key, undefined, "a key that issues no more is kept nowhere");
    const lastEndMs = 257 * dayMs + dayMs + 20 * minuteMs;
    assert.equal(step(used, lastEndMs - 1, mint), used);

    const dropped = step(used, lastEndMs, mint);
    assert.equal(bundleOf(dropped), "B");
  });

  it("does not use the next one before those who must believe it have been told", () => {
    const mint = minter();
    const announced = step(step(undefined, 0, mint), 250 * dayMs, mint);
    assert.equal(step(announced, 300 * dayMs, mint, false), announced);
    assert.equal(activeOf(step(announced, 300 * dayMs, mint, true))?.certificate, "B");
    const late = step(announced, 365 * dayMs, mint, false);
    assert.equal(activeOf(late)?.certificate, "B", "but rather that one than an expired one");
  });

  it("begins anew at once when nobody looked until everything had expired", () => {
    const mint = minter();
    const announced = step(step(undefined, 0, mint), 250 * dayMs, mint);
    const state = step(announced, 900 * dayMs, mint);
    assert.equal(activeOf(state)?.certificate, "C");
    assert.equal(upcomingOf(state), undefined);
    assert.equal(bundleOf(step(state, 902 * dayMs, mint)), "C");
  });

  it("remembers the longest life that was issued, though the setting is shortened", () => {
    const mint = minter();
    const begun = step(undefined, 0, mint);
    const longer = { ...policy, certificateLifeMs: 10 * dayMs };
    const extended = rotate(begun, dayMs, longer, { mint, mayUseNext: true });
    assert.equal(activeOf(extended)?.issuedLifeMsMax, 10 * dayMs);
    const announced = step(extended, 250 * dayMs, mint);
    assert.equal(activeOf(step(announced, 257 * dayMs, mint))?.certificate, "A", "ten days, not seven");
    const used = step(announced, 261 * dayMs, mint);
    assert.equal(activeOf(used)?.certificate, "B");
    assert.equal(bundleOf(step(used, 270 * dayMs, mint)), "AB");
    assert.equal(bundleOf(step(used, 272 * dayMs, mint)), "B");
  });

  it("says when lives do not fit into each other", () => {
    assert.equal(policyProblem(policy), undefined);
    assert.match(policyProblem({ ...policy, authorityLifeMs: 10 * dayMs }) ?? "", /at least \d+ ms/);
  });
});

interface Replica {
  state: AuthorityState | undefined;
  seenAtMs: number;
  readonly skewMs: number;
}

interface Issued {
  readonly by: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Of a holder who has got it when it got its certificate. */
interface Bundle {
  readonly text: string;
  readonly gotAtMs: number;
}

const policies = fc
  .record({
    certificateLifeMs: fc.integer({ min: 20, max: 200 }),
    overlapMs: fc.integer({ min: 0, max: 200 }),
    marginMs: fc.integer({ min: 100, max: 400 }),
    spareMs: fc.integer({ min: 0, max: 500 }),
  })
  .map(({ spareMs, ...rest }) => {
    const { certificateLifeMs: life, overlapMs, marginMs } = rest;
    const leadMs = Math.max(overlapMs, life + marginMs) + life + 2 * marginMs;
    return { ...rest, authorityLifeMs: 2 * leadMs + spareMs };
  });

const moves = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 1, max: 20 }),
    replica: fc.nat(2),
    /** A look at the Secret, or a certificate for a process. */
    does: fc.constantFrom("look", "look", "issue", "issue"),
    isPublished: fc.boolean(),
  }),
  { minLength: 300, maxLength: 1_000 },
);

describe("with three replicas, old knowledge and clocks that differ", () => {
  it("nobody shows a certificate that a holder of a bundle, as old as a certificate may be, does not believe", () => {
    let rotations = 0;
    const skews = fc.tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: -1, max: 1, noNaN: true }));
    const property = fc.property(policies, moves, skews, (policy, list, [skewA, skewB]) => {
      // The margin is how old knowledge may be (three quarters here), and how far two clocks differ (the rest).
      const staleMsMax = policy.marginMs * 0.75;
      const skew = policy.marginMs / 8;
      const replicas: Replica[] = [0, skewA * skew, skewB * skew].map((skewMs) => ({
        state: undefined,
        seenAtMs: Number.NEGATIVE_INFINITY,
        skewMs,
      }));
      let secret: AuthorityState | undefined;
      let nowMs = 10_000;
      const mint = minter(policy.authorityLifeMs);
      let issued: Issued[] = [];
      let bundles: Bundle[] = [];
      for (const { afterMs, replica: index, does, isPublished } of list) {
        nowMs += afterMs;
        const replica = replicas[index];
        assert.ok(replica);
        if (does === "look") {
          const next = rotate(secret, nowMs + replica.skewMs, policy, { mint, mayUseNext: isPublished });
          if (next !== secret) rotations += 1;
          secret = next;
          replica.state = next;
          replica.seenAtMs = nowMs;
        } else if (replica.state !== undefined && nowMs - replica.seenAtMs <= staleMsMax) {
          const active = activeOf(replica.state);
          assert.ok(active?.key !== undefined);
          const lifeMs = Math.min(policy.certificateLifeMs, active.issuedLifeMsMax);
          const untilMs = Math.min(nowMs + lifeMs, active.untilMs);
          issued.push({ by: active.certificate, fromMs: nowMs, untilMs });
          bundles.push({ text: bundleOf(replica.state), gotAtMs: nowMs });
        }
        issued = issued.filter(({ untilMs }) => nowMs < untilMs);
        // Whoever has a certificate has got a bundle with it: none in use is older than a certificate lives.
        bundles = bundles.filter(({ gotAtMs }) => nowMs < gotAtMs + policy.certificateLifeMs);
        for (const { by } of issued) {
          for (const { text } of bundles) assert.ok(text.includes(by), `${by} is shown, and ${text} is believed`);
          assert.ok(secret !== undefined && bundleOf(secret).includes(by), `${by} is shown, and was dropped`);
        }
      }
    });
    fc.assert(property, { numRuns: 400, endOnFailure: true });
    assert.ok(rotations > 400 * 3, `only ${rotations} writes: the property has not seen rotations`);
  });
});
