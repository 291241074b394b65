import type { Mutant } from "./mutant.ts";

const attendance = "protocol/src/leadership/attendance.ts";
const directory = "protocol/src/leadership/directory.ts";
const lead = "protocol/src/leadership/lead.ts";
const session = "protocol/src/lifecycle/session.ts";
const store = "simulator/src/control/store.ts";

/** Bugs of who leads, of what is driven, and of what agents are told. */
export const leadMutants: readonly Mutant[] = [
  {
    name: "lead-starts-when-passed-over",
    breaks: "I9: a snapshot whose creation was answered in another term is driven",
    file: lead,
    find: 'if (answer === "fenced" || this.term(nowMs) !== term) return "notLeading";',
    put: 'if (nowMs < 0) return "notLeading";',
  },
  {
    name: "lead-adopts-nothing",
    breaks: "I6: what the store says runs is not taken over",
    file: lead,
    find: "    return orphans.map(({ spec, inherited }) =>",
    put: "    return orphans.slice(0, 0).map(({ spec, inherited }) =>",
  },
  {
    name: "lead-adopts-what-has-ended",
    breaks: "I9: what has ended is taken over",
    file: lead,
    find: "!isLastPhase(phase) && !this.isLive(spec.id) && !search.ended.has(spec.id)",
    put: 'phase !== "" && !this.isLive(spec.id)',
  },
  {
    name: "lead-does-not-settle",
    breaks: "a new leader's attempts do not wait for the agents to come back",
    file: lead,
    find: "    this.#settledAtMs = nowMs + settleMs;",
    put: "    this.#settledAtMs = nowMs;",
  },
  {
    name: "lead-same-term-again",
    breaks: "I9: a holder that asks again keeps its term",
    file: store,
    find: "      const term = nextTerm(this.#lease.term, now);",
    put: "      const term = expired || this.#lease.holder !== holder ? nextTerm(this.#lease.term, now) : this.#lease.term;",
  },
  {
    name: "session-late-parts-of-the-completed",
    breaks: "I5: a part of the completed attempt is removed as late",
    file: session,
    find: "  const current = snapshot.attempt === ref.attempt;",
    put: "  const current = false;",
  },
  {
    name: "agents-listed-before-settled",
    breaks: "I3: the first directory of a new leader names those alone that are back already",
    file: attendance,
    find: "    return nowMs >= this.#settledAtMs;",
    put: "    return nowMs >= 0 || this.#settledAtMs < 0;",
  },
  {
    name: "agents-never-expire",
    breaks: "I6: a process that is gone stays in the directory",
    file: directory,
    find: "nowMs >= detachedAtMs + graceMs,",
    put: "nowMs >= detachedAtMs + 1_000 * graceMs,",
  },
  {
    name: "agents-change-not-pushed",
    breaks: "I6: a change of the directory is not said",
    file: attendance,
    find: "    if (!this.isSettled(nowMs) || this.#pushedChanges === this.directory.changes) return",
    put: "    if (!this.isSettled(nowMs) || this.#pushedChanges <= this.directory.changes) return",
  },
];
