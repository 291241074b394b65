import { setTimeout as delay } from "node:timers/promises";
import { startTcpProxy, type TcpProxy } from "../../dataplane/tcp-proxy.ts";
import type { LedgerApplication } from "./application.ts";
import { type CallKeys, judge } from "./global-state.ts";
import { introduce } from "./member.ts";
import { runTraffic, seeded } from "./traffic.ts";
import { connectAll, endSnapshot, keptCalls, snapshot, startWorld, until, type WorldOptions } from "./world.ts";

export interface RandomWorldOptions {
  readonly seed: number;
  readonly trafficMs: number;
  readonly processes: number;
  readonly kind?: WorldOptions["kind"];
  /** Calls that each application has under way. */
  readonly width: number;
  readonly cancelShare: number;
  readonly messageBytesMax: number;
  /** Credit of each direction of a call. */
  readonly windowBytes: number;
  /** Snapshots under way at once. */
  readonly overlapping: number;
  /** Share of snapshots in the midst of which every connection between agents breaks. */
  readonly breakShare?: number;
  /** Share of snapshots that are ended soon after they began. */
  readonly endShare?: number;
  readonly member?: WorldOptions["member"];
}

/** What came of it; everything but the counts must be empty. */
export interface RandomWorldOutcome {
  taken: number;
  exact: number;
  /** In doubt, though every message was where it had to be. */
  needless: number;
  inFlight: number;
  /** Code of each reason to the number of times. */
  readonly reasons: Map<string, number>;
  /** By the certificate, or by the ledgers of processes that have called themselves exact. */
  readonly wrong: string[];
  /** What an application noticed. */
  readonly disturbances: string[];
  kept: string[];
  readonly log: string[];
}

/** Applications that never stop calling each other, and snapshots of them; all of it bounded by `trafficMs`. */
export async function runRandomWorld(options: RandomWorldOptions): Promise<RandomWorldOutcome> {
  const { processes, width, cancelShare, messageBytesMax, windowBytes, overlapping, trafficMs } = options;
  const random = seeded(options.seed);
  const ids = Array.from({ length: processes }, (_, i) => `t/p${i}`);
  const world = await startWorld({
    ids,
    ...(options.kind === undefined ? {} : { kind: options.kind }),
    member: async (id, application) => ({
      callLimits: { windowBytes },
      ...(await options.member?.(id, application)),
    }),
  });
  const { members, applications } = world;
  const proxies = await Promise.all(members.map(({ linkPort }) => startTcpProxy(linkPort)));
  introduce(members, Object.fromEntries(members.map(({ id }, i) => [id, portOf(proxies[i])])));
  const outcome: RandomWorldOutcome = {
    taken: 0,
    exact: 0,
    needless: 0,
    inFlight: 0,
    reasons: new Map(),
    wrong: [],
    disturbances: [],
    kept: [],
    log: [],
  };
  await connectAll(world, ids);
  const keys: CallKeys = new Map();
  const open = new Set<string>();
  const endMs = performance.now() + trafficMs;
  let going = true;
  const traffic = applications.map((application, i) =>
    runTraffic({
      id: ids[i] ?? "",
      peers: ids.filter((_, k) => k !== i),
      application,
      random,
      width,
      cancelShare,
      messageBytesMax,
      goOn: () => going,
      open,
      onWrong: (what) => outcome.disturbances.push(what),
    }),
  );
  const oneSnapshot = async (snapshotId: string) => {
    const ref = { snapshotId, attempt: 1 };
    const initiator = members[Math.floor(random() * members.length)];
    const initiators = random() < 0.5 || initiator === undefined ? members : [initiator];
    if (random() < (options.endShare ?? 0)) {
      for (const member of initiators) member.start(ref);
      await delay(Math.floor(random() * 20));
      endSnapshot(members, ref);
      return;
    }
    const taken = snapshot(members, ref, initiators);
    if (random() < (options.breakShare ?? 0)) {
      await delay(Math.floor(random() * 10));
      for (const proxy of proxies) proxy.cut();
    }
    await taken;
    const { exact, reasons, violations, wrong, wrongAmongExact, inFlightMessages } = await judge(members, ref, keys);
    endSnapshot(members, ref);
    outcome.taken += 1;
    outcome.inFlight += inFlightMessages;
    if (exact) outcome.exact += 1;
    else if (wrong.length === 0) outcome.needless += 1;
    for (const reason of reasons) {
      const code = reason.split(" ")[1] ?? "";
      outcome.reasons.set(code, (outcome.reasons.get(code) ?? 0) + 1);
    }
    for (const what of [...violations, ...wrongAmongExact]) outcome.wrong.push(`${snapshotId}: ${what}`);
  };
  const lane = async (name: number) => {
    for (let i = 0; performance.now() < endMs; i += 1) {
      await oneSnapshot(`s${name}.${i}`);
      await delay(Math.floor(random() * 20));
    }
  };
  try {
    await Promise.all(Array.from({ length: overlapping }, (_, i) => lane(i)));
    going = false;
    await until("every call has ended", () => open.size === 0).catch((error) => {
      throw new Error([String(error), ...stuck(open, applications), ...keptCalls(members)].join("\n"));
    });
    await Promise.all(traffic);
    // Whoever keeps something for ever fails with what it is, not with the time it took.
    await until("nothing is kept", () => keptCalls(members).length === 0, 5_000).catch(() => undefined);
    outcome.kept = keptCalls(members);
    outcome.disturbances.push(...applications.flatMap(({ ledger }) => ledger.outOfTurn));
    outcome.log.push(...members.flatMap(({ log }) => log));
    return outcome;
  } finally {
    going = false;
    await Promise.race([Promise.all(traffic), delay(3_000)]);
    await world.stop();
    for (const proxy of proxies) await proxy.close();
  }
}

function portOf(proxy: TcpProxy | undefined): number {
  return Number(proxy?.address.split(":")[1]);
}

function stuck(open: ReadonlySet<string>, applications: readonly LedgerApplication[]): string[] {
  return [...open].flatMap((key) =>
    applications.map(({ ledger }, i) => {
      const parts = (["request", "answer"] as const).map((part) => {
        const name = `${key}|${part}`;
        return `${part}s sent ${ledger.sent.get(name) ?? 0} received ${ledger.received.get(name) ?? 0}`;
      });
      const ends = (["caller", "callee"] as const).map(
        (end) => `${end} ${ledger.ended.get(`${key}|${end}`) ?? "open"}`,
      );
      return `${key} at application ${i}: ${[...parts, ...ends].join(", ")}`;
    }),
  );
}
