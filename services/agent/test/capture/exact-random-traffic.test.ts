import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type RandomWorldOptions, runRandomWorld } from "./support/random-world.ts";

/** Milliseconds of traffic in each world, and where the seeds begin; long runs set both. */
const trafficMs = Number(process.env.CUTLINE_TEST_TRAFFIC_MS ?? 1_200);
const firstSeed = Number(process.env.CUTLINE_TEST_SEED ?? 1) * 100;

type Case = Omit<RandomWorldOptions, "seed" | "trafficMs"> & { readonly name: string };

const usual = {
  processes: 2,
  width: 6,
  cancelShare: 0,
  messageBytesMax: 2_000,
  windowBytes: 262_144,
  overlapping: 1,
} as const;

const cases: readonly Case[] = [
  { ...usual, name: "that nobody disturbs" },
  { ...usual, name: "with cancellations and deadlines", cancelShare: 0.3 },
  {
    ...usual,
    name: "with big messages and little credit",
    width: 5,
    cancelShare: 0.15,
    messageBytesMax: 400_000,
    windowBytes: 4_096,
  },
  {
    ...usual,
    name: "among three processes, in snapshots that overlap, while connections break",
    processes: 3,
    width: 4,
    cancelShare: 0.2,
    messageBytesMax: 50_000,
    windowBytes: 16_384,
    overlapping: 3,
    breakShare: 0.2,
    endShare: 0.2,
  },
  {
    ...usual,
    name: "among two participants and an opaque application",
    processes: 3,
    width: 3,
    cancelShare: 0.1,
    kind: (id) => (id === "t/p2" ? "opaque" : "participant"),
    member: () => ({ captureLimits: { drainTimeoutMs: 30, guardMs: 5, triesMax: 1 } }),
  },
];

/** What a cancelled call had sent may never come out of its application: then a participant's cut says so. */
const ofCancelledCalls: ReadonlySet<string> = new Set(["CallCutShort", "OutgoingCallNeverSeen"]);

describe("cuts of random traffic", () => {
  for (const [at, { name, ...options }] of cases.entries()) {
    it(name, { timeout: 90_000 + 5 * trafficMs }, async (t) => {
      const seed = firstSeed + at;
      const outcome = await runRandomWorld({ ...options, seed, trafficMs });
      const { taken, exact, needless, inFlight, reasons, wrong, disturbances, kept, log } = outcome;
      t.diagnostic(
        `seed ${seed}: ${taken} snapshots, ${exact} exact, ${needless} in doubt and right, ${inFlight} messages in flight`,
      );
      assert.deepEqual({ seed, wrong, disturbances, kept }, { seed, wrong: [], disturbances: [], kept: [] });
      assert.ok(taken > 0 && inFlight > 0, "there was something to see");
      if (options.kind !== undefined) return;
      assert.deepEqual(
        [...reasons.keys()].filter((code) => options.cancelShare === 0 || !ofCancelledCalls.has(code)),
        [],
      );
      assert.deepEqual(
        log.filter((line) => line.startsWith("error")),
        [],
      );
    });
  }
});
