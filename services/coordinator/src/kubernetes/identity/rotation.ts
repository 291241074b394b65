/** One authority: whom others are to believe, and, while it has its key, who issues. */
export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** PEM. `undefined`: it issues no more, so its key is kept nowhere. */
  readonly key: string | undefined;
  /** When its certificate ends. */
  readonly untilMs: number;
  /** Since when it stands in the bundle. */
  readonly believedSinceMs: number;
  /** Since when it issues; `undefined`: it is the next one. */
  readonly issuesSinceMs: number | undefined;
  /** Nothing that it has issued lives longer. */
  readonly issuedLifeMsMax: number;
  /** Since when another one issues. */
  readonly retiredSinceMs: number | undefined;
}

/** What all replicas share. The bundle is all of them. */
export interface AuthorityState {
  readonly authorities: readonly Authority[];
}

export interface RotationPolicy {
  /** Of an authority. Default 365 days. */
  readonly authorityLifeMs: number;
  /** Of what it issues. Default 24 h. */
  readonly certificateLifeMs: number;
  /** How long an authority is believed, at least, before it issues. Default 7 days. */
  readonly overlapMs: number;
  /** How old a replica's knowledge may be when it issues, and how far clocks differ, together. Default 10 min. */
  readonly marginMs: number;
}

export interface Minted {
  readonly certificate: string;
  readonly key: string;
  readonly untilMs: number;
}

export interface RotationInputs {
  /** Makes a new authority that begins at `nowMs`. */
  mint(nowMs: number): Minted;
  /** Whether everybody who is to believe the next authority is known to have been given it. */
  readonly mayUseNext: boolean;
}

const noAuthorities: AuthorityState = { authorities: [] };

/** `undefined`: they fit. An authority must outlive, twice over, all that a rotation takes. */
export function policyProblem(policy: RotationPolicy): string | undefined {
  const lifeMsMin = 2 * leadMs(policy, policy.certificateLifeMs);
  if (policy.authorityLifeMs >= lifeMsMin) return undefined;
  return `an authority must live for at least ${lifeMsMin} ms, which is twice what certificates, overlap and margins take together`;
}

/**
 * What is to be written next; the same object when there is nothing to do. Nobody is handed a certificate that a holder
 * of a bundle of the last `overlapMs` does not believe: an authority is believed first, used then, and dropped when
 * everything that it has issued has ended. Only where no authority is left that could issue, one begins at once.
 */
export function rotate(
  state: AuthorityState | undefined,
  nowMs: number,
  policy: RotationPolicy,
  inputs: RotationInputs,
): AuthorityState {
  let next = dropped(state ?? noAuthorities, nowMs, policy);
  const active = activeOf(next);
  const upcoming = upcomingOf(next);
  if (active === undefined || nowMs >= active.untilMs - policy.marginMs) {
    const usable = upcoming !== undefined && nowMs < upcoming.untilMs - policy.marginMs;
    const ready = usable ? next : announced(withoutUpcoming(next), nowMs, policy, inputs);
    return used(ready, nowMs, policy);
  }
  if (active.issuedLifeMsMax < policy.certificateLifeMs) {
    next = replaced(next, active, { ...active, issuedLifeMsMax: policy.certificateLifeMs });
  }
  if (upcoming === undefined) {
    return nowMs >= announceAtMs(active, policy) ? announced(next, nowMs, policy, inputs) : next;
  }
  // Whoever holds a certificate got the bundle with it, so no such bundle is older than a certificate lives.
  const overlapMs = Math.max(policy.overlapMs, active.issuedLifeMsMax + policy.marginMs);
  return inputs.mayUseNext && nowMs >= upcoming.believedSinceMs + overlapMs ? used(next, nowMs, policy) : next;
}

/** The one that issues. */
export function activeOf({ authorities }: AuthorityState): Authority | undefined {
  return authorities.find((each) => each.issuesSinceMs !== undefined && each.retiredSinceMs === undefined);
}

/** The one that will issue, and is only believed so far. */
export function upcomingOf({ authorities }: AuthorityState): Authority | undefined {
  return authorities.find((each) => each.issuesSinceMs === undefined);
}

/** Everybody to believe, as PEM. */
export function bundleOf({ authorities }: AuthorityState): string {
  return authorities.map(({ certificate }) => certificate).join("");
}

/** From the announcement of the next one to the end of the last certificate of the old one. */
function leadMs(policy: RotationPolicy, issuedLifeMs: number): number {
  return Math.max(policy.overlapMs, issuedLifeMs + policy.marginMs) + issuedLifeMs + 2 * policy.marginMs;
}

function announceAtMs(active: Authority, policy: RotationPolicy): number {
  return active.untilMs - Math.max(policy.authorityLifeMs / 3, leadMs(policy, active.issuedLifeMsMax));
}

function announced(
  state: AuthorityState,
  nowMs: number,
  { certificateLifeMs }: RotationPolicy,
  { mint }: RotationInputs,
): AuthorityState {
  const fresh: Authority = {
    ...mint(nowMs),
    believedSinceMs: nowMs,
    issuesSinceMs: undefined,
    issuedLifeMsMax: certificateLifeMs,
    retiredSinceMs: undefined,
  };
  return { authorities: [...state.authorities, fresh] };
}

function used(state: AuthorityState, nowMs: number, { certificateLifeMs }: RotationPolicy): AuthorityState {
  const active = activeOf(state);
  const upcoming = upcomingOf(state);
  if (upcoming === undefined) return state;
  const begun = { ...upcoming, issuesSinceMs: nowMs, issuedLifeMsMax: certificateLifeMs };
  const after = replaced(state, upcoming, begun);
  return active === undefined ? after : replaced(after, active, { ...active, key: undefined, retiredSinceMs: nowMs });
}

/** Without those whose last certificate has ended, even one that a replica has issued that did not know yet. */
function dropped(state: AuthorityState, nowMs: number, { marginMs }: RotationPolicy): AuthorityState {
  const kept = state.authorities.filter(
    ({ retiredSinceMs, issuedLifeMsMax, untilMs }) =>
      retiredSinceMs === undefined ||
      nowMs < Math.min(retiredSinceMs + issuedLifeMsMax + 2 * marginMs, untilMs + marginMs),
  );
  return kept.length === state.authorities.length ? state : { authorities: kept };
}

function withoutUpcoming(state: AuthorityState): AuthorityState {
  return { authorities: state.authorities.filter(({ issuesSinceMs }) => issuesSinceMs !== undefined) };
}

function replaced(state: AuthorityState, old: Authority, by: Authority): AuthorityState {
  return { authorities: state.authorities.map((each) => (each === old ? by : each)) };
}
