import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type CallKeys, judge } from "./support/global-state.ts";
import { runTraffic, seeded } from "./support/traffic.ts";
import { endSnapshot, keptCalls, snapshot, startWorld, until } from "./support/world.ts";

/** Milliseconds of traffic for each world; `make test` takes the default. */
const trafficMs = Number(process.env.CUTLINE_TEST_TRAFFIC_MS ?? 2_500);
const seedBase = Number(process.env.CUTLINE_TEST_SEED ?? 1);

interface Case {
  readonly name: string;
  readonly processes: number;
  readonly width: number;
  readonly cancelShare: number;
  readonly messageBytesMax: number;
  readonly windowBytes: number;
  /** Snapshots under way at once. */
  readonly overlapping: number;
}

const cases: readonly Case[] = [
  {
    name: "undisturbed",
    processes: 2,
    width: 6,
    cancelShare: 0,
    messageBytesMax: 2_000,
    windowBytes: 262_144,
    overlapping: 1,
  },
  {
    name: "with cancellations and deadlines",
    processes: 2,
    width: 6,
    cancelShare: 0.3,
    messageBytesMax: 2_000,
    windowBytes: 262_144,
    overlapping: 1,
  },
  {
    name: "with big messages, small windows and cancellations",
    processes: 2,
    width: 5,
    cancelShare: 0.15,
    messageBytesMax: 400_000,
    windowBytes: 4_096,
    overlapping: 1,
  },
  {
    name: "among three processes, with overlapping snapshots",
    processes: 3,
    width: 4,
    cancelShare: 0.2,
    messageBytesMax: 50_000,
    windowBytes: 16_384,
    overlapping: 3,
  },
];

/** What a cancelled call had sent may never come out of its application: then the cut says so. */
const cancelled = /CallCutShort|OutgoingCallNeverSeen/;

describe("exact cuts of random traffic", () => {
  for (const [at, each] of cases.entries()) {
    it(each.name, { timeout: 60_000 + 10 * trafficMs }, async (t) => {
      const seed = seedBase * 1_000 + at;
      const random = seeded(seed);
      const ids = Array.from({ length: each.processes }, (_, i) => `t/p${i}`);
      const world = await startWorld({
        ids,
        member: () => ({ callLimits: { windowBytes: each.windowBytes } }),
      });
      const { members, applications } = world;
      let going = true;
      const open = new Set<string>();
      let traffic: Promise<number>[] = [];
      try {
        const wrong: string[] = [];
        const keys: CallKeys = new Map();
        const disturbances: string[] = [];
        traffic = applications.map((application, i) =>
          runTraffic({
            id: ids[i] as string,
            peers: ids.filter((_, k) => k !== i),
            application,
            random,
            width: each.width,
            cancelShare: each.cancelShare,
            messageBytesMax: each.messageBytesMax,
            goOn: () => going,
            open,
            onWrong: (what) => disturbances.push(what),
          }),
        );
        const endMs = performance.now() + trafficMs;
        const reasons = new Map<string, number>();
        let exact = 0;
        let taken = 0;
        let needless = 0;
        let inFlight = 0;
        const snapshots = async (lane: number) => {
          for (let i = 0; performance.now() < endMs; i += 1) {
            const ref = { snapshotId: `s${lane}.${i}`, attempt: 1 };
            const initiators =
              random() < 0.5 ? members : [members[Math.floor(random() * members.length)] ?? members[0]];
            await snapshot(members, ref, initiators as typeof members);
            const judged = await judge(members, ref, keys);
            endSnapshot(members, ref);
            taken += 1;
            inFlight += judged.inFlightMessages;
            for (const reason of judged.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
            if (!judged.exact && judged.wrong.length === 0) needless += 1;
            if (judged.exact) {
              exact += 1;
              for (const what of [...judged.violations, ...judged.wrong]) wrong.push(`${ref.snapshotId}: ${what}`);
            }
            await delay(Math.floor(random() * 20));
          }
        };
        await Promise.all(Array.from({ length: each.overlapping }, (_, lane) => snapshots(lane)));
        going = false;
        const over = Promise.all(traffic);
        let ended = false;
        over.finally(() => {
          ended = true;
        });
        await until(`every call ends`, () => ended, 15_000).catch((error) => {
          const kept = keptCalls(members).join("\n");
          const counts = [...open].flatMap((key) =>
            applications.map(({ ledger }, i) =>
              [
                ids[i],
                ...["request", "answer"].map(
                  (part) =>
                    `${part}s sent ${ledger.sent.get(`${key}|${part}`)} received ${ledger.received.get(`${key}|${part}`)}`,
                ),
                ledger.ended.get(`${key}|caller`),
                ledger.ended.get(`${key}|callee`),
              ].join(" "),
            ),
          );
          throw new Error(`${error.message}: ${[...open].join(", ")}\n${counts.join("\n")}\nkept:\n${kept}`);
        });
        await over;
        t.diagnostic(
          `seed ${seed}: ${taken} snapshots, ${exact} exact, ${needless} in doubt and right, ${inFlight} messages in flight`,
        );
        assert.ok(exact > 0 && inFlight > 0);
        assert.deepEqual(wrong, []);
        assert.deepEqual(disturbances, []);
        assert.deepEqual(
          applications.flatMap(({ ledger }) => ledger.outOfTurn),
          [],
        );
        const unexpected = [...reasons.keys()].filter((reason) => !each.cancelShare || !cancelled.test(reason));
        assert.deepEqual(unexpected, []);
        await until("nothing is kept", () => keptCalls(members).length === 0, 4_000).catch(() => undefined);
        assert.deepEqual(keptCalls(members), []);
        assert.deepEqual(
          members.flatMap(({ log }) => log),
          [],
        );
      } finally {
        going = false;
        await Promise.race([Promise.all(traffic), delay(5_000)]);
        await world.stop();
      }
    });
  }
});
