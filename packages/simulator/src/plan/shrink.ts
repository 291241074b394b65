import type { CallScript } from "../data/application.ts";
import type { Action, Plan } from "./plan.ts";

/** Runs tried for one shrinking at most. */
const triesMax = 600;

/**
 * The smallest plan found that still fails in the same way: without actions, then without processes and lanes, then with
 * simpler calls. What is left out changes nothing of what the rest draws.
 */
export function shrink(plan: Plan, fails: (plan: Plan) => boolean): Plan {
  let tries = 0;
  let best = plan;
  const better = (candidate: Plan): boolean => {
    if (tries >= triesMax) return false;
    tries += 1;
    if (!fails(candidate)) return false;
    best = candidate;
    return true;
  };
  for (let before: Plan | undefined; before !== best && tries < triesMax; ) {
    before = best;
    dropSome(
      () => best.actions,
      (actions) => better({ ...best, actions }),
    );
    for (const { id } of [...best.processes]) better(withoutProcess(best, id));
    dropSome(
      () => best.lanes,
      (lanes) => better(withLanes(best, lanes)),
    );
    for (let index = 0; index < best.actions.length; index += 1) simplify(best, index, better);
    for (const { id, tokens } of [...best.processes]) if (tokens > 1) better(withTokens(best, id, 1));
  }
  return best;
}

/** Leaves out halves, quarters, and so on, down to one at a time. */
function dropSome<T>(list: () => readonly T[], keeps: (rest: readonly T[]) => boolean): void {
  for (let size = Math.ceil(list().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < list().length; ) {
      const all = list();
      const rest = [...all.slice(0, from), ...all.slice(from + size)];
      if (!keeps(rest)) from += size;
    }
  }
}

function withoutProcess(plan: Plan, id: string): Plan {
  const processes = plan.processes.filter((process) => process.id !== id);
  const lanes = plan.lanes.filter(({ from, to }) => from !== id && to !== id);
  const actions = plan.actions.filter((action) => {
    if (action.type === "call") return action.from !== id && action.to !== id;
    return !("process" in action) || action.process !== id;
  });
  return withLanes({ ...plan, processes, actions }, lanes);
}

function withLanes(plan: Plan, lanes: Plan["lanes"]): Plan {
  const kept = new Set(lanes.map(({ id }) => id));
  return { ...plan, lanes, actions: plan.actions.filter((action) => !("lane" in action) || kept.has(action.lane)) };
}

function withTokens(plan: Plan, id: string, tokens: number): Plan {
  return {
    ...plan,
    processes: plan.processes.map((process) => (process.id === id ? { ...process, tokens } : process)),
  };
}

function simplify(plan: Plan, index: number, better: (plan: Plan) => boolean): void {
  const action = plan.actions[index];
  if (action?.type !== "call") return;
  const { script } = action;
  const simpler: CallScript[] = [
    { ...script, kind: "unary", requests: 1, answers: 0, nested: undefined, thinkMs: 0, answersEarly: false, gapMs: 0 },
    { ...script, nested: undefined },
    { ...script, requests: 1, answers: 0 },
    { ...script, requestReadMs: 0, answerReadMs: 0, thinkMs: 0 },
  ];
  for (const one of simpler) {
    if (JSON.stringify(one) === JSON.stringify(script)) continue;
    const actions: Action[] = plan.actions.map((other, at) => (at === index ? { ...action, script: one } : other));
    if (better({ ...plan, actions })) return;
  }
}
