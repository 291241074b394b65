/** Renewals in one lease. */
const renewalsPerLease = 3;

/** `first`: the store has never granted this lease before. A holder that asks again is told `takeOver`. */
export type LeaseSuccession = "first" | "takeOver";

/** One replica's end of the lease. `stepLease` changes it in place. */
export interface LeaseState {
  readonly leaseMs: number;
  /** The term that was granted last and is not lost; no two grants have the same one. */
  term: number | undefined;
  /** By this replica's clock: `leaseMs` after the request that last renewed it was sent, so that it stops before another begins. */
  endsAtMs: number;
  /** The take-over is done. */
  leading: boolean;
  askedAtMs: number;
  succession: LeaseSuccession;
  waitsFor: "nextTurn" | "acquisition" | "renewal" | "takeOver" | "nothing";
  stopping: boolean;
}

export type LeaseInput = {
  readonly nowMs: number;
} /** The time for the next try has come; the first one comes at once. */ & (
  | { readonly type: "turn" }
  /** The answers to `acquire`. */
  | { readonly type: "acquired"; readonly term: number; readonly succession: LeaseSuccession }
  | { readonly type: "held" }
  /** The answers to `renew`. */
  | { readonly type: "renewed" }
  | { readonly type: "lost" }
  /** `acquire` or `renew` had no answer, or an error: it may have happened all the same. */
  | { readonly type: "unknown" }
  /** The answers to `takeOver`. */
  | { readonly type: "takenOver" }
  | { readonly type: "takeOverFailed" }
  /** This replica stops. What it waits for comes first. */
  | { readonly type: "stop" }
);

/** What the shell must do, in this order. */
export type LeaseEffect =
  | { readonly type: "acquire" }
  | { readonly type: "renew"; readonly term: number }
  /** Takes over whatever the store says runs. Not before the answer this replica leads. */
  | { readonly type: "takeOver"; readonly term: number; readonly succession: LeaseSuccession }
  | { readonly type: "lead"; readonly term: number; readonly succession: LeaseSuccession }
  /** Everything that was begun in this term is dropped. */
  | { readonly type: "lose"; readonly term: number; readonly reason: string }
  /** The next turn is due in so long. */
  | { readonly type: "wait"; readonly delayMs: number }
  | { readonly type: "release"; readonly term: number }
  /** After `stop`: nothing follows. */
  | { readonly type: "stopped" };

export function createLeaseState(leaseMs: number): LeaseState {
  return {
    leaseMs,
    term: undefined,
    endsAtMs: 0,
    leading: false,
    askedAtMs: 0,
    succession: "first",
    waitsFor: "nextTurn",
    stopping: false,
  };
}

/**
 * The lease was granted with this term and has not ended, also while the take-over runs. Whoever waited for something learns
 * here whether it is still in the time in which it began.
 */
export function holdsLease(state: LeaseState, term: number, nowMs: number): boolean {
  return state.term === term && nowMs < state.endsAtMs;
}

/** The term in which this replica leads. `undefined`: it does not. */
export function leadingTerm(state: LeaseState, nowMs: number): number | undefined {
  return state.leading && state.term !== undefined && holdsLease(state, state.term, nowMs) ? state.term : undefined;
}

/** Takes the lease, keeps it, and takes it again after a loss. An answer that nobody waits for changes nothing. */
export function stepLease(state: LeaseState, input: LeaseInput): LeaseEffect[] {
  const effects: LeaseEffect[] = [];
  switch (input.type) {
    case "turn":
      if (state.waitsFor === "nextTurn") ask(state, input.nowMs, effects);
      return effects;
    case "acquired":
      if (state.waitsFor === "acquisition") acquire(state, input.term, input.succession, effects);
      return effects;
    case "held":
      if (state.waitsFor === "acquisition") endTurn(state, effects);
      return effects;
    case "renewed":
      if (state.waitsFor !== "renewal") return effects;
      state.endsAtMs = state.askedAtMs + state.leaseMs;
      endTurn(state, effects);
      return effects;
    case "lost":
      if (state.waitsFor !== "renewal") return effects;
      lose(state, "another replica took over", effects);
      endTurn(state, effects);
      return effects;
    case "unknown":
      if (state.waitsFor === "acquisition" || state.waitsFor === "renewal") endTurn(state, effects);
      return effects;
    case "takenOver":
    case "takeOverFailed":
      if (state.waitsFor === "takeOver") endTakeOver(state, input, effects);
      return effects;
    case "stop":
      state.stopping = true;
      if (state.waitsFor === "nextTurn") endTurn(state, effects);
      return effects;
  }
}

function ask(state: LeaseState, nowMs: number, effects: LeaseEffect[]): void {
  if (state.term !== undefined && nowMs >= state.endsAtMs) lose(state, "lease ran out", effects);
  state.askedAtMs = nowMs;
  if (state.term === undefined) {
    state.waitsFor = "acquisition";
    effects.push({ type: "acquire" });
  } else {
    state.waitsFor = "renewal";
    effects.push({ type: "renew", term: state.term });
  }
}

function acquire(state: LeaseState, term: number, succession: LeaseSuccession, effects: LeaseEffect[]): void {
  state.term = term;
  state.endsAtMs = state.askedAtMs + state.leaseMs;
  if (state.stopping) {
    endTurn(state, effects);
    return;
  }
  state.waitsFor = "takeOver";
  state.succession = succession;
  effects.push({ type: "takeOver", term, succession });
}

function endTurn(state: LeaseState, effects: LeaseEffect[]): void {
  if (!state.stopping) {
    state.waitsFor = "nextTurn";
    effects.push({ type: "wait", delayMs: state.leaseMs / renewalsPerLease });
    return;
  }
  state.waitsFor = "nothing";
  const { term } = state;
  lose(state, "stopping", effects);
  if (term !== undefined) effects.push({ type: "release", term });
  effects.push({ type: "stopped" });
}

function endTakeOver(
  state: LeaseState,
  { type, nowMs }: { readonly type: "takenOver" | "takeOverFailed"; readonly nowMs: number },
  effects: LeaseEffect[],
): void {
  if (type === "takeOverFailed") lose(state, "take-over failed", effects);
  // This replica stood still meanwhile, and another one may lead by now (I9).
  else if (nowMs >= state.endsAtMs) lose(state, "lease ran out", effects);
  else if (state.term !== undefined) {
    state.leading = true;
    effects.push({ type: "lead", term: state.term, succession: state.succession });
  }
  endTurn(state, effects);
}

function lose(state: LeaseState, reason: string, effects: LeaseEffect[]): void {
  if (state.term === undefined) return;
  effects.push({ type: "lose", term: state.term, reason });
  state.term = undefined;
  state.leading = false;
}
