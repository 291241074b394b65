import assert from "node:assert/strict";
import type { ProcessFacts } from "@cutline/protocol";
import { closed, cut, part, process, sent } from "../support.ts";
import { ControlWorld, incarnationOf, refOf } from "./world.ts";

/*
 * The sentences of a scenario about coordinators, one a line; `#` begins a comment. There is one snapshot, s1, and one
 * store. Processes are A, B, C, coordinators c1, c2. What comes of each sentence stands under it in the golden file.
 */
const sentences: readonly (readonly [pattern: RegExp, run: (world: ControlWorld, ...words: string[]) => void])[] = [
  [
    /^(\d+) attempts?, (\d+) ms in all$/,
    (world, attempts, ms) => {
      world.attemptsMax = Number(attempts);
      world.timeoutMs = Number(ms);
    },
  ],
  [
    /^initiator is (\w+)$/,
    (world, id = "") => {
      world.initiator = id;
    },
  ],
  // Who leads. Each take-over has a new term.
  [/^(\w+) leads and begins with (.+)$/, (world, name = "", ids) => world.begin(name, facts(ids))],
  [/^(\w+) takes over with (.+)$/, (world, name = "", ids) => world.takeOver(name, facts(ids))],
  [/^(\w+) crashes$/, (world, name = "") => world.crash(world.leader(name))],
  [
    /^(\w+) (stands still|goes on)$/,
    (world, name = "", how) => {
      const leader = world.leader(name);
      leader.standing = how === "goes on" ? "here" : "still";
      if (how === "goes on") world.step(leader, { type: "tick" });
    },
  ],
  [/^(\d+) ms pass$/, (world, ms) => world.pass(Number(ms))],
  [
    /^clock of (\w+) jumps by (-?\d+) ms$/,
    (world, name = "", ms) => {
      const leader = world.leader(name);
      leader.clockAheadMs += Number(ms);
      world.step(leader, { type: "tick" });
    },
  ],

  // The agents.
  [/^everything comes to (\w+)$/, (world, name = "") => world.gather(world.leader(name))],
  [
    /^(\w+) tells (\w+) of its cut(?: in attempt (\d+))?(?:: sent (\d+) to (\w+)(?: and (\d+) in the outbox)?|: hears (\w+)|: not exact, (\w+))?$/,
    (world, id = "", name = "", attempt, count, to, outbox = "0", from, doubt) => {
      const leader = world.leader(name);
      const ref = attempt === undefined ? refOf(leader) : { snapshotId: "s1", attempt: Number(attempt) };
      const outgoing = to === undefined ? [] : [sent(`${id}>${to}`, to, Number(count), Number(outbox))];
      const incoming = from === undefined ? [] : [`${from}>${id}`];
      const reasons = doubt === undefined ? [] : [{ code: doubt, message: "the scenario says so", processId: id }];
      const report = cut({ outgoing, incoming, exact: doubt === undefined, reasons });
      world.step(leader, { type: "cut", ref, processId: id, incarnation: incarnationOf(leader, id), report });
    },
  ],
  [
    /^(\w+) closes the channel from (\w+) at (\w+): received (\d+) of (\d+)$/,
    (world, id = "", from = "", name = "", received, count) => {
      const leader = world.leader(name);
      const report = closed(`${from}>${id}`, from, Number(received), Number(count));
      const incarnation = incarnationOf(leader, id);
      world.step(leader, { type: "channel", ref: refOf(leader), processId: id, incarnation, report });
    },
  ],
  [
    /^(\w+) hands (local|channel|outbox) (\S+) to (\w+)$/,
    (world, id = "", kind, owner = "", name = "") =>
      world.keep(world.leader(name), part(kind as "local" | "channel" | "outbox", owner, id)),
  ],
  [
    /^capture fails at (\w+) for (\w+): (\w+)$/,
    (world, id = "", name = "", code = "") => {
      const leader = world.leader(name);
      const reason = { code, message: "the scenario says so", processId: id };
      const incarnation = incarnationOf(leader, id);
      world.step(leader, { type: "captureFailed", ref: refOf(leader), processId: id, incarnation, reason });
    },
  ],
  [
    /^(\w+) attaches to (\w+)(?: as incarnation (\d+))?$/,
    (world, id = "", name = "", incarnation = "1") =>
      world.step(world.leader(name), { type: "attached", process: process(id, incarnation) }),
  ],
  [
    /^(\w+) (is detached from|leaves) (\w+)$/,
    (world, id = "", how, name = "") => {
      const leader = world.leader(name);
      const type = how === "leaves" ? "left" : "detached";
      world.step(leader, { type, processId: id, incarnation: incarnationOf(leader, id) });
    },
  ],
  [
    /^caller aborts at (\w+)$/,
    (world, name = "") => world.step(world.leader(name), { type: "abort", message: "asked" }),
  ],

  // The store. What times out is on its way still; what fails never happens.
  [/^(\w+) writes its progress$/, (world, name = "") => world.writeProgress(world.leader(name))],
  [
    /^store (answers|fails|times out) for (\w+)$/,
    (world, how, name = "") => world.answer(world.leader(name), how as "answers" | "fails" | "times out"),
  ],
  [/^late write of (\w+) happens$/, (world, name = "") => world.happenLate(name)],
  [
    /^part (\w+ \S+) of attempt (\d+) is lost$/,
    (world, part, attempt) => assert(world.store.parts.delete(`${attempt} ${part}`), "there is no such part"),
  ],
];

/** Plays a scenario and returns its sentences with what came of each, and what is in the store at the end. */
export function play(text: string): string {
  const world = new ControlWorld();
  text.split("\n").forEach((raw, index) => {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") return;
    try {
      const found = sentences.find(([pattern]) => pattern.test(line));
      if (found === undefined) throw new SyntaxError("no sentence of the language looks like this");
      const [pattern, run] = found;
      world.transcript.push(line);
      run(world, ...(pattern.exec(line)?.slice(1) ?? []));
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`line ${index + 1}, "${line}": ${message}`, { cause });
    }
  });
  return `${[...world.transcript, ...inTheStore(world)].join("\n")}\n`;
}

/** I5 and I9: published at most once, and with all its parts. */
function inTheStore({ store }: ControlWorld): string[] {
  const { stored } = store;
  if (stored === undefined) return [];
  const { phase, attempt, reason, processes, channels } = stored.document;
  assert(store.publications <= 1, "I9: published twice");
  const parts = store.partsOf(attempt);
  if (stored.published) {
    const wanted = processes.map(({ id }) => `local ${id}`);
    wanted.push(...channels.flatMap(({ id, recordedCount }) => (recordedCount > 0 ? [`channel ${id}`] : [])));
    wanted.push(...channels.flatMap(({ id, outboxCount }) => (outboxCount > 0 ? [`outbox ${id}`] : [])));
    assert.deepEqual(parts.sort(), wanted.sort(), "I5: a Completed snapshot has all its parts");
  }
  return [
    `in the store: ${phase}${reason === "" ? "" : `, ${reason}`}, attempt ${attempt}, written in term ${stored.term}, ` +
      `published ${store.publications} times; parts of the attempt: ${parts.length}`,
  ];
}

function facts(ids = ""): ProcessFacts[] {
  return ids.split(/\s+/).map((id) => process(id));
}
