import { act, calmDown } from "./actions.ts";
import type { History, Verdict } from "./checkers/history.ts";
import { judge } from "./checkers/judge.ts";
import type { Plan } from "./plan/plan.ts";
import { World } from "./world.ts";

export interface RunResult {
  readonly verdicts: readonly Verdict[];
  readonly history: History;
  readonly events: number;
  readonly faults: ReadonlyMap<string, number>;
  /** Documents by their last phase. */
  readonly snapshots: ReadonlyMap<string, number>;
  /** What coordinators came to with the snapshots that they drove. */
  readonly ended: Readonly<Record<string, number>>;
}

/** How long after the calm everything has to be over: the longest deadline, the last words, and a wide margin. */
const overAfterMs = 16_000;
const eventsMax = 400_000;
const lookMs = 50;

/** Runs one plan from its beginning to its end and has it judged. */
export function run(plan: Plan): RunResult {
  const world = new World(plan);
  const { engine } = world;
  for (const { id, bornAtMs, tokens } of plan.processes) engine.after(bornAtMs, () => world.bear(id, tokens));
  for (const { id, from, to, openAtMs } of plan.lanes) {
    engine.after(openAtMs, () => keepOpening(world, id, from, to, 40));
  }
  for (const action of plan.actions) engine.after(action.atMs, () => act(world, action));
  engine.after(plan.calmAtMs, () => calmDown(world));
  const lastActionAtMs = plan.actions.reduce((last, { atMs }) => Math.max(last, atMs), plan.calmAtMs);
  let quiet = false;
  const look = () => {
    quiet = world.isQuiet;
    engine.after(lookMs, look);
  };
  engine.after(lastActionAtMs + 200, look);
  try {
    const outcome = engine.run(plan.calmAtMs + overAfterMs, eventsMax, () => quiet || world.violations.length > 0);
    world.finish(outcome === "over" ? "quiet" : outcome === "reached" ? "timeOver" : "exhausted");
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    world.broke("assertion", message);
  }
  const snapshots = new Map<string, number>();
  for (const { document } of world.store.documents.values()) {
    snapshots.set(document.phase, (snapshots.get(document.phase) ?? 0) + 1);
  }
  return {
    verdicts: [...judge(world.history), ...world.violations],
    history: world.history,
    events: engine.ran,
    faults: world.statistics.faults,
    snapshots,
    ended: world.statistics.ended,
  };
}

/** The first opening of a lane waits until its processes know each other. */
function keepOpening(world: World, lane: string, from: string, to: string, tries: number): void {
  const outcome = world.inhabitants.get(from)?.mesh.open(lane, to) ?? "unknownProcess";
  if (outcome === "unknownProcess" && tries > 0) {
    world.engine.after(25, () => keepOpening(world, lane, from, to, tries - 1));
  }
}
