import type { CallScript } from "../data/application.ts";
import { Random } from "../engine/random.ts";
import { type Action, type Lane, type Plan, probeId } from "./plan.ts";
import { drawTopology } from "./topology.ts";

const faultKinds = [
  "cutLane",
  "laneDown",
  "laneDirty",
  "swizzle",
  "crash",
  "join",
  "leave",
  "dropControl",
  "crashCoordinator",
  "pauseCoordinator",
  "clock",
  "store",
  "captureTrouble",
  "abort",
] as const;

type FaultKind = (typeof faultKinds)[number];

/** Time in which everything has found itself again once nothing is disturbed. */
const recoveryMs = 2_600;

/** Draws a plan: which kinds of faults there are at all is drawn first, so that each is also seen alone. */
export function generate(seed: number): Plan {
  const random = new Random(seed).stream("plan");
  const calm = random.happens(0.15);
  // In these, processes crash and leave in the middle of snapshots, more often than not.
  const isNearSnapshots = seed % 24 === 0;
  const share = random.pick([0.12, 0.3, 0.6]) ?? 0.3;
  const kinds = new Set<FaultKind>(calm ? [] : faultKinds.filter(() => random.happens(share)));
  const count = random.happens(0.75) ? random.between(2, 5) : random.between(2, 12);
  const activeMs = random.between(400, 1_800);
  const processes = Array.from({ length: count }, (_, index) => ({
    id: `${random.happens(0.7) ? "a" : "b"}/p${index}`,
    bornAtMs: 0,
    tokens: random.between(1, 5),
  }));
  if (kinds.has("join")) {
    for (let joins = random.between(1, 2); joins > 0; joins -= 1) {
      const id = `a/j${joins}`;
      processes.push({ id, bornAtMs: 200 + random.below(activeMs), tokens: random.between(1, 3) });
    }
  }
  const lanes = drawLanes(random, processes, activeMs, calm);
  const traffic = drawTraffic(random, processes, lanes, activeMs);
  const hiccup = calm && random.happens(0.4);
  const snapshots = drawSnapshots(random, processes, activeMs, calm, hiccup);
  const faults = [...kinds].flatMap((kind) =>
    drawFaults(random, kind, processes, lanes, snapshots, activeMs, isNearSnapshots),
  );
  const probeAtMs = 200 + activeMs + recoveryMs;
  const probe: Action[] = [
    ...drawTraffic(random, processes, lanes, 60)
      .slice(0, 12)
      .map((action) => ({ ...action, atMs: probeAtMs - 40 + (action.atMs % 60) })),
    {
      type: "snapshot",
      id: probeId,
      initiator: "",
      timeoutMs: 3_000,
      attemptsMax: 1,
      namespaces: [],
      completesBy: 1,
      atMs: probeAtMs,
    },
  ];
  return {
    seed,
    settings: {
      callWindowBytes: random.pick([100, 400, 5_000]) ?? 400,
      resumeTimeoutMs: random.pick([150, 600, 1_500]) ?? 600,
      forgetAfterMs: !calm && random.happens(0.1) ? random.between(50, 400) : 4_000,
      latencyMs: random.pick([0, 2, 10]) ?? 0,
      jitterMs: random.pick([0, 5, 40]) ?? 0,
      hiccupAt: hiccup ? (random.pick(processes)?.id ?? "") : "",
      inexact: random.happens(0.1) ? 0.2 : 0,
    },
    processes,
    lanes,
    coordinators: ["c1", "c2"].map((name) => ({ name, aheadMs: random.between(-800, 800) })),
    actions: inOrder([...traffic, ...snapshots, ...faults, ...probe]),
    calmAtMs: 200 + activeMs,
  };
}

function drawLanes(
  random: Random,
  processes: readonly { id: string; bornAtMs: number }[],
  activeMs: number,
  calm: boolean,
): Lane[] {
  return drawTopology(random, processes.length).pairs.flatMap(([a, b], index) => {
    const from = processes[a];
    const to = processes[b];
    if (from === undefined || to === undefined) return [];
    const later = calm ? random.happens(0.1) : random.happens(0.25);
    const openAtMs = Math.max(from.bornAtMs, to.bornAtMs) + (later ? 100 + random.below(activeMs) : random.below(60));
    return [{ id: `l${index}`, from: from.id, to: to.id, openAtMs }];
  });
}

function drawTraffic(
  random: Random,
  processes: readonly { id: string }[],
  lanes: readonly Lane[],
  activeMs: number,
): Action[] {
  const calls = random.between(3, 5 + 3 * processes.length);
  return Array.from({ length: calls }, (): Action[] => {
    const lane = random.pick(lanes);
    if (lane === undefined) return [];
    const [from, to] = random.happens(0.5) ? [lane.from, lane.to] : [lane.to, lane.from];
    return [{ type: "call", atMs: 100 + random.below(activeMs), from, to, script: drawScript(random, to, lanes, 2) }];
  }).flat();
}

function drawScript(random: Random, at: string, lanes: readonly Lane[], depth: number): CallScript {
  const kind = random.happens(0.65) ? "unary" : "stream";
  const next = random.pick(lanes.filter(({ from, to }) => from === at || to === at));
  const nested =
    depth === 0 || next === undefined || !random.happens(0.25) ? undefined : next.from === at ? next.to : next.from;
  return {
    kind,
    requests: kind === "unary" ? 1 : random.between(1, 8),
    answers: kind === "unary" ? 1 : random.between(0, 6),
    gapMs: random.pick([0, 5, 40]) ?? 0,
    requestReadMs: random.pick([0, 0, 5, 120]) ?? 0,
    answerReadMs: random.pick([0, 0, 5, 120]) ?? 0,
    thinkMs: random.pick([0, 5, 60]) ?? 0,
    answersEarly: kind === "stream" && random.happens(0.1),
    tokensMax: random.between(0, 3),
    nested: nested === undefined ? undefined : { to: nested, script: drawScript(random, nested, lanes, depth - 1) },
  };
}

function drawSnapshots(
  random: Random,
  processes: readonly { id: string }[],
  activeMs: number,
  calm: boolean,
  hiccup: boolean,
): Action[] {
  const count = random.between(1, 4);
  return Array.from({ length: count }, (_, index): Action => {
    const scoped = random.happens(0.1);
    return {
      type: "snapshot",
      atMs: 150 + random.below(activeMs),
      id: `s${index}`,
      initiator: random.happens(0.4) ? (random.pick(processes)?.id ?? "") : "",
      timeoutMs: calm ? 4_000 : (random.pick([300, 1_200, 4_000]) ?? 4_000),
      attemptsMax: hiccup ? 3 : random.between(1, 3),
      namespaces: scoped ? ["a"] : [],
      completesBy: calm ? (hiccup ? 2 : 1) : 0,
    };
  });
}

function drawFaults(
  random: Random,
  kind: FaultKind,
  processes: readonly { id: string; bornAtMs: number }[],
  lanes: readonly Lane[],
  snapshots: readonly Action[],
  activeMs: number,
  isNearSnapshots: boolean,
): Action[] {
  const at = () => 120 + random.below(activeMs);
  const several = (max: number, one: () => Action | undefined): Action[] =>
    Array.from({ length: random.between(1, max) }, one).filter((action) => action !== undefined);
  const nearSnapshot = () => (random.pick(snapshots)?.atMs ?? at()) + random.below(120);
  const atOrNearSnapshot = () => (isNearSnapshots && random.happens(0.5) ? nearSnapshot() : at());
  const lane = () => random.pick(lanes)?.id ?? "";
  if (lanes.length === 0 && (kind === "cutLane" || kind === "laneDown" || kind === "laneDirty")) return [];
  const process = () => random.pick(processes)?.id ?? "";
  const coordinator = () => random.pick(["c1", "c2"]) ?? "c1";
  switch (kind) {
    case "cutLane":
      return several(6, () => ({ type: "cutLane", atMs: at(), lane: lane() }));
    case "laneDown":
      return several(3, () => ({ type: "laneDown", atMs: at(), lane: lane(), forMs: random.between(20, 900) }));
    case "laneDirty":
      return several(3, () => ({
        type: "laneDirty",
        atMs: at(),
        lane: lane(),
        duplicated: random.pick([0, 0.1, 0.4]) ?? 0,
        reordered: random.pick([0, 0.05, 0.2]) ?? 0,
        acknowledgementsLateMs: random.pick([0, 50, 400]) ?? 0,
        forMs: random.between(50, 800),
      }));
    case "swizzle": {
      const begin = at();
      const middle = begin + random.between(50, 300);
      const heal = random.shuffled(lanes.map((_, index) => index));
      return random.shuffled(lanes).map(({ id }, index) => {
        const atMs = begin + Math.floor((index * (middle - begin)) / lanes.length);
        const healAtMs = middle + 20 * (heal[index] ?? 0);
        return { type: "laneDown", atMs, lane: id, forMs: healAtMs - atMs };
      });
    }
    case "crash":
      return several(2, () => ({
        type: "crash",
        atMs: atOrNearSnapshot(),
        process: process(),
        restartAfterMs: random.happens(0.7) ? random.between(10, 700) : undefined,
      }));
    case "leave":
      return several(2, () => ({ type: "leave", atMs: atOrNearSnapshot(), process: process() }));
    case "dropControl":
      return several(5, () => {
        const forMs = random.happens(0.4) ? random.between(200, 900) : 0;
        return { type: "dropControl", atMs: at(), process: process(), forMs };
      });
    case "crashCoordinator":
    case "pauseCoordinator":
      return several(2, () => ({ type: kind, atMs: at(), name: coordinator(), forMs: random.between(30, 1_500) }));
    case "clock":
      return several(4, () => {
        // A link that waits for its resume by a clock this slow would wait into the time when nothing is disturbed.
        const ofCoordinator = random.happens(0.6);
        const rate = random.pick([ofCoordinator ? 0.3 : 0.75, 1, 1, 2, 5]) ?? 1;
        const jumpMs = random.happens(0.5) ? random.between(-1_500, 1_500) : 0;
        return { type: "clock", atMs: at(), of: ofCoordinator ? coordinator() : process(), jumpMs, rate };
      });
    case "store":
      return several(3, () => ({
        type: "store",
        atMs: at(),
        latencyMs: random.pick([2, 20, 100]) ?? 2,
        fails: random.pick([0, 0.1, 0.6]) ?? 0,
        timesOut: random.pick([0, 0.1, 0.5]) ?? 0,
        late: random.pick([0, 0.1, 0.5]) ?? 0,
        forMs: random.between(50, 1_500),
      }));
    case "captureTrouble":
      return several(1, () => ({ type: "captureTrouble", atMs: at(), fails: 0.3, forMs: random.between(50, 600) }));
    case "abort":
      return several(2, () => {
        const snapshot = random.pick(snapshots);
        if (snapshot?.type !== "snapshot") return undefined;
        return { type: "abort", atMs: snapshot.atMs + random.below(200), id: snapshot.id };
      });
    case "join":
      return [];
  }
}

function inOrder(actions: readonly Action[]): Action[] {
  return [...actions].sort((a, b) => a.atMs - b.atMs);
}
