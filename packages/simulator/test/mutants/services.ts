import type { Mutant } from "./mutant.ts";

/** Bugs of what the services add, put into the simulator's model of them. */
export const serviceMutants: readonly Mutant[] = [
  {
    name: "term-not-checked",
    breaks: "I9: the store takes writes of any term",
    file: "simulator/src/control/store.ts",
    find: "    return Math.max(this.#lease.term, stored?.term ?? 0) > term;",
    put: "    return Math.max(this.#lease.term, stored?.term ?? 0) > term + 1_000;",
  },
];
