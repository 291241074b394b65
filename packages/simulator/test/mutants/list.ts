import { cutMutants } from "./cut.ts";
import { lifeMutants } from "./life.ts";
import { linkMutants } from "./link.ts";
import type { Mutant } from "./mutant.ts";
import { serviceMutants } from "./services.ts";

export const mutants: readonly Mutant[] = [...cutMutants, ...linkMutants, ...lifeMutants, ...serviceMutants];

/** Bugs that were tried and that schedules do not show, or not within a thousand seeds, and why. */
export const uncaught: readonly string[] = [
  "A holder that lost its lead gets its old term back: only a publication that comes later than a whole take-over shows it.",
  "A failed attempt removes the parts of the next one as well: there are none yet, unless the removal comes late.",
  "Failed is said before a withdrawal is stored: a publication must time out as often as it is tried, and then happen.",
  "The last of two different reports of one cut counts: no process of the simulator reports two.",
  "A link meant for an earlier life is accepted by the present one: its dialler hears of the new life and closes it.",
  "A cut that is missing is not missed: whether all have cut is asked a second time.",
  "A process leaves before its channels are closed: the attempt fails all the same, only later.",
];
