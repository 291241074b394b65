import { agentMutants } from "./agent.ts";
import { cutMutants } from "./cut.ts";
import { leadMutants } from "./lead.ts";
import { lifeMutants } from "./life.ts";
import { linkMutants } from "./link.ts";
import type { Mutant } from "./mutant.ts";
import { serviceMutants } from "./services.ts";

export const mutants: readonly Mutant[] = [
  ...cutMutants,
  ...linkMutants,
  ...agentMutants,
  ...lifeMutants,
  ...leadMutants,
  ...serviceMutants,
];

/** Bugs that were tried and that schedules do not show, or not within a thousand seeds, and why. */
export const uncaught: readonly string[] = [
  "A leader goes on after the end of its lease, or drives what it asked the store for in an earlier lead: the store refuses whatever it writes, and it says no end of an attempt that it has not recorded.",
  "A search of the store that is older than an end has the snapshot driven again: one schedule in 300,000 shows it, and its seed is kept.",
  "The writes of a snapshot overtake each other, or progress is written that is obsolete: the store refuses the older one by its sequence.",
  "Progress that was refused is not heeded: the next write is refused as well.",
  "A part that came after the end of its attempt stays: nobody reads it.",
  "Parts of an earlier attempt are taken, or of a process that is gone: nobody reads the first, and what is gone uploads nothing here.",
  "An agent that comes back is not told what has ended: its own deadline ends it.",
  "A failed attempt removes the parts of the next one as well: there are none yet, unless the removal comes late.",
  "Failed is said before a withdrawal is stored: a publication must time out as often as it is tried, and then happen.",
  "The last of two different reports of one cut counts: no process of the simulator reports two.",
  "A link meant for an earlier life is accepted by the present one: its dialler hears of the new life and closes it.",
  "A cut that is missing is not missed: whether all have cut is asked a second time.",
  "A process leaves before its channels are closed: the attempt fails all the same, only later.",
  "A greeting that comes late takes a link from a newer connection: the dialler connects again, and nothing is lost. The model shows it.",
  "A dialler that gives a broken link up tells nobody, or never gives up: snapshots of a disturbed world may wait for it.",
  "An acceptor does not wait for a resume, or a list ends links that are up: calls of a disturbed world may be lost with their link.",
  "Reports, failures and parts that were lost with a stream are not said again: the attempt fails as one whose agent is away, and is tried again.",
  "Strays behind a marker are no part of another snapshot's channel state: both must wait on one channel while a call ends.",
];
