import assert from "node:assert/strict";
import type { SnapshotRef } from "@cutline/protocol";
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
      for (const name of names.split(/\s+/)) world.addProcess(name);
    },
  ],
  [
    /^link (\w+) (\w+)$/,
    (world, one = "", other = "") => {
      world.addLink(one, other);
      world.openEnd(one, other);
      world.openEnd(other, one);
    },
  ],
  [/^link (\w+) (\w+) is lost$/, (world, one = "", other = "") => world.loseLink(one, other)],
  [/^process (\w+) joins$/, (world, name = "") => world.addProcess(name)],

  // Tokens. `sends` numbers the token at once; `writes` leaves it in the outbox, because there is no credit.
  [
    /^(\w+) sends (\w+) to (\w+)$/,
    (world, from = "", token = "", to = "") => {
      assert.deepEqual(world.wire(`${from}>${to}`).outbox, [], `${token} cannot pass what waits in the outbox`);
      world.write(`${from}>${to}`, token);
      world.moveOutbox(`${from}>${to}`);
    },
  ],
  [/^(\w+) writes (\w+) to (\w+)$/, (world, from, token = "", to) => world.write(`${from}>${to}`, token)],
  [/^outbox of (\w+) to (\w+) moves$/, (world, from, to) => world.moveOutbox(`${from}>${to}`)],
  // `arrives`: the process has it, the application has not. `gets`: it arrives and the application receives it.
  [
    /^next from (\w+) arrives at (\w+)$/,
    (world, from, to) => {
      world.arrive(`${from}>${to}`);
    },
  ],
  [
    /^(\w+) receives (\w+)$/,
    (world, to = "", token = "") => {
      world.receive(channelOf(world, to, token), token);
    },
  ],
  [
    /^(\w+) gets next from (\w+)$/,
    (world, to, from) => {
      const frame = world.arrive(`${from}>${to}`);
      assert(frame.kind === "token", `what came from ${from} is a marker; say: next from ${from} arrives at ${to}`);
      world.receive(`${from}>${to}`, frame.token);
    },
  ],
  [
    /^everything arrives$/,
    (world) => {
      for (const wire of world.wires.values()) while (wire.frames.length > 0) world.arrive(wire.id);
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

export interface Scenario {
  readonly world: World;
  /** `snapshotId/attempt`, in the order in which they are named. */
  readonly snapshots: readonly string[];
}

/** Plays a scenario. Throws an error that names the line when a sentence is unknown or cannot be done. */
export function play(text: string): Scenario {
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim());
  const world = new World();
  const snapshots = new Set<string>();
  const holders = firstHolders(lines);
  lines.forEach((line, index) => {
    if (line === "") return;
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
  return { world, snapshots: [...snapshots] };
}

function firstHolders(lines: readonly string[]): Map<string, string> {
  const holders = new Map<string, string>();
  for (const line of lines) {
    const [, from, token] = /^(\w+) (?:sends|writes) (\w+) to \w+$/.exec(line) ?? [];
    if (from !== undefined && token !== undefined && !holders.has(token)) holders.set(token, from);
  }
  return holders;
}

function parseRef(text = ""): SnapshotRef {
  const [snapshotId = "", attempt = "1"] = text.split("/");
  return { snapshotId, attempt: Number(attempt) };
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
