import assert from "node:assert/strict";
import type { SnapshotRef } from "@cutline/protocol";
import { expand, link, mesh, ring, settle, wander } from "./bulk.ts";
import type { Line } from "./line.ts";
import { World } from "./world.ts";

/*
 * The sentences of a scenario, one a line; `#` begins a comment. Processes, tokens and snapshots are words of your
 * choice; `s1/2` is the second attempt of the snapshot s1. A token is an application message; before it is sent for the
 * first time, the process that sends it holds it.
 */
const sentences: readonly (readonly [pattern: RegExp, run: (world: World, ...words: string[]) => void])[] = [
  // Topology. A link opens both its channels at both ends; it can open at any time.
  [
    /^processes (.+)$/,
    (world, names = "") => {
      for (const name of expand(names)) world.addProcess(name);
    },
  ],
  [/^link (\w+) (\w+)$/, (world, one = "", other = "") => link(world, one, other)],
  [/^link (\w+) (\w+) as (\w+)$/, (world, one = "", other = "", name) => link(world, one, other, name)],
  [/^link (\w+) (\w+) is lost$/, (world, one = "", other = "") => world.loseLink(one, other)],
  // Compact forms: `A..D` are A B C D, with the links of a ring, or all with each other.
  [/^ring (.+)$/, (world, names = "") => ring(world, expand(names))],
  [/^mesh (.+)$/, (world, names = "") => mesh(world, expand(names))],
  [
    /^everybody holds (\d+) tokens$/,
    (world, count) => {
      for (const { id, holding } of world.actors.values()) {
        for (let i = 1; i <= Number(count); i += 1) holding.add(`${id.toLowerCase()}${i}`);
      }
    },
  ],
  [/^(\d+) steps by seed (\d+)$/, (world, steps, seed) => wander(world, Number(steps), Number(seed))],
  [/^everything settles$/, (world) => settle(world)],

  // Who comes and goes.
  [/^process (\w+) (?:joins|comes back)$/, (world, name = "") => world.addProcess(name)],
  [/^process (\w+) crashes$/, (world, name = "") => world.remove(name, "crashed")],
  [/^process (\w+) leaves$/, (world, name = "") => world.remove(name, "left")],

  // Below the numbers. A connection carries both channels of a link, and breaks with all that is on its way.
  [/^connection (\w+) (\w+) breaks$/, (world, one, other) => ends(world, one, other, (line) => line.break())],
  [/^connection (\w+) (\w+) is resumed$/, (world, one, other) => ends(world, one, other, (line) => line.resume())],
  [
    /^a greeting of an earlier connection (\w+) (\w+) comes late$/,
    (world, from, to) => world.wire(`${from}>${to}`).line.greetLate(),
  ],
  [/^next from (\w+) to (\w+) is doubled$/, (world, from, to) => world.wire(`${from}>${to}`).line.disturb("double")],
  [/^next from (\w+) to (\w+) is lost$/, (world, from, to) => world.wire(`${from}>${to}`).line.disturb("lose")],
  [
    /^next two from (\w+) to (\w+) are re-ordered$/,
    (world, from, to) => world.wire(`${from}>${to}`).line.disturb("swap"),
  ],
  [/^(\w+) acknowledges to (\w+)$/, (world, to, from) => world.wire(`${from}>${to}`).line.acknowledge()],
  [
    /^acknowledgement of (\w+) (reaches|comes late to) (\w+)$/,
    (world, to, how, from) =>
      world.wire(`${from}>${to}`).line.acknowledgementArrives(how === "reaches" ? "now" : "late"),
  ],
  [
    /^acknowledgement of (\w+) to (\w+) is lost$/,
    (world, to, from) => world.wire(`${from}>${to}`).line.acknowledgementIsLost(),
  ],
  [
    /^(\w+) keeps (\d+) frames for (\w+)$/,
    (world, from, count, to) => assert.equal(world.wire(`${from}>${to}`).line.keptFrames, Number(count)),
  ],

  // Tokens. `sends` numbers the token at once; `writes` leaves it in the outbox, because there is no credit.
  [
    /^(\w+) sends (\w+) to (\w+)(?: by (\w+))?$/,
    (world, from = "", token = "", to = "", name) => {
      const channel = channelId(from, to, name);
      assert.deepEqual(world.wire(channel).outbox, [], `${token} cannot pass what waits in the outbox`);
      world.write(channel, token);
      world.moveOutbox(channel);
    },
  ],
  [/^(\w+) writes (\w+) to (\w+)$/, (world, from, token = "", to) => world.write(`${from}>${to}`, token)],
  [/^outbox of (\w+) to (\w+) moves$/, (world, from, to) => world.moveOutbox(`${from}>${to}`)],
  [/^(\w+) mints (\w+)$/, (world, at = "", token = "") => world.mint(at, token)],
  // A reset is a frame of its call like another. Who receives it throws away what has arrived of that call before.
  [
    /^(\w+) resets (\w+) to (\w+)$/,
    (world, from = "", call = "", to = "") => {
      world.signs.add(`reset_${call}`);
      world.actor(from).holding.add(`reset_${call}`);
      world.write(`${from}>${to}`, `reset_${call}`);
      world.moveOutbox(`${from}>${to}`);
    },
  ],
  [
    /^(\w+) throws away (.+)$/,
    (world, at = "", tokens = "") => {
      for (const token of tokens.split(/\s+/)) world.discard(channelOf(world, at, token), token);
    },
  ],
  // `arrives`: the process has it, the application has not. `gets`: it arrives and the application receives it.
  [
    /^next from (\w+) (?:by (\w+) )?arrives at (\w+)$/,
    (world, from, name, to) => {
      const frame = world.arrive(channelId(from, to, name));
      assert(typeof frame === "object", `it is dropped: say: next from ${from} to ${to} is a ${String(frame)}`);
    },
  ],
  [
    /^next from (\w+) to (\w+) is a (duplicate|gap)$/,
    (world, from, to, what) => assert.equal(world.arrive(`${from}>${to}`), what),
  ],
  [
    /^(\w+) receives (\w+)$/,
    (world, to = "", token = "") => {
      world.receive(channelOf(world, to, token), token);
    },
  ],
  [
    /^(\w+) gets next from (\w+)(?: by (\w+))?$/,
    (world, to, from, name) => {
      const channel = channelId(from, to, name);
      const frame = world.arrive(channel);
      assert(typeof frame === "object", `what came from ${from} is dropped`);
      assert(frame.kind === "token", `what came from ${from} is a marker; say: next from ${from} arrives at ${to}`);
      world.receive(channel, frame.token);
    },
  ],
  [
    /^everything arrives$/,
    (world) => {
      for (const wire of world.wires.values()) while (wire.line.framesOnTheWay > 0) world.arrive(wire.id);
    },
  ],
  // What the protocol lets through, and what it holds.
  [/^(\w+) waits at (\w+)$/, (world, token = "", at = "") => assertStanding(world, at, token, "held")],
  [/^(\w+) is ready at (\w+)$/, (world, token = "", at = "") => assertStanding(world, at, token, "ready")],

  // Snapshots. `is told of`: the process attached while the snapshot ran. `is captured`: this instant is the cut.
  [/^start (\S+) at (\w+)$/, (world, ref, at = "") => world.start(at, parseRef(ref), "start")],
  [/^(\w+) is told of (\S+)$/, (world, at = "", ref) => world.start(at, parseRef(ref), "attach")],
  [/^(\w+) is captured for (\S+)$/, (world, at = "", ref) => world.capture(at, parseRef(ref))],
  [/^capture of (\S+) fails at (\w+)$/, (world, ref, at = "") => world.failCapture(at, parseRef(ref))],
  [/^(\S+) ends at (\w+)$/, (world, ref, at = "") => world.end(at, parseRef(ref))],
  [
    /^(\S+) ends$/,
    (world, ref) => {
      for (const process of world.actors.keys()) world.end(process, parseRef(ref));
    },
  ],
  [
    /^(\w+) doubles its marker of (\S+) to (\w+)$/,
    (world, from, ref, to) => world.doubleMarker(`${from}>${to}`, parseRef(ref)),
  ],
];

const inShort = "in short";

export interface Scenario {
  readonly world: World;
  /** `snapshotId/attempt`, in the order in which they are named. */
  readonly snapshots: readonly string[];
  /** `in short`, a sentence of its own, asks for sums in the place of a line for every channel. */
  readonly style: "long" | "short";
}

/** Plays a scenario. Throws an error that names the line when a sentence is unknown or cannot be done. */
export function play(text: string): Scenario {
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim());
  const world = new World();
  const snapshots = new Set<string>();
  const holders = firstHolders(lines);
  lines.forEach((line, index) => {
    if (line === "" || line === inShort) return;
    try {
      const found = sentences.find(([pattern]) => pattern.test(line));
      if (found === undefined) throw new SyntaxError("no sentence of the language looks like this");
      const [pattern, run] = found;
      run(world, ...(pattern.exec(line)?.slice(1) ?? []));
      const named = /^start (\S+)|is told of (\S+)$/.exec(line);
      if (named !== null) {
        const ref = parseRef(named[1] ?? named[2]);
        snapshots.add(`${ref.snapshotId}/${ref.attempt}`);
      }
    } catch (cause) {
      throw new Error(`line ${index + 1}, "${line}": ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
    for (const [token, holder] of holders) {
      const actor = world.actors.get(holder);
      if (actor === undefined) continue;
      actor.holding.add(token);
      holders.delete(token);
    }
  });
  return { world, snapshots: [...snapshots], style: lines.includes(inShort) ? "short" : "long" };
}

function firstHolders(lines: readonly string[]): Map<string, string> {
  const holders = new Map<string, string>();
  const minted = new Set(lines.map((line) => /^\w+ mints (\w+)$/.exec(line)?.[1]));
  for (const line of lines) {
    const [, from, token] = /^(\w+) (?:sends|writes) (\w+) to \w+/.exec(line) ?? [];
    if (from !== undefined && token !== undefined && !holders.has(token) && !minted.has(token))
      holders.set(token, from);
  }
  return holders;
}

function parseRef(text = ""): SnapshotRef {
  const [snapshotId = "", attempt = "1"] = text.split("/");
  return { snapshotId, attempt: Number(attempt) };
}

function channelId(from = "", to = "", name = ""): string {
  return `${from}>${to}${name === "" ? "" : `#${name}`}`;
}

function ends(world: World, one = "", other = "", run: (line: Line) => void): void {
  for (const channel of [`${one}>${other}`, `${other}>${one}`]) run(world.wire(channel).line);
}

function channelOf(world: World, at: string, token: string): string {
  for (const [channel, inbox] of world.actor(at).inbox) {
    if (inbox.some((arrived) => arrived.token === token)) return channel;
  }
  throw new RangeError(`${token} has not arrived at ${at}`);
}

function assertStanding(world: World, at: string, token: string, standing: "ready" | "held"): void {
  const inbox = world.actor(at).inbox.get(channelOf(world, at, token)) ?? [];
  const found = inbox.find((arrived) => arrived.token === token)?.standing;
  assert.equal(found, standing, `${token} is ${found} at ${at}`);
}
