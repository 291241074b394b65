import type { World } from "./world.ts";

/** `A..D` stands for `A B C D`. */
export function expand(words: string): string[] {
  return words.split(/\s+/).flatMap((word) => {
    const [, first, last] = /^([A-Z])\.\.([A-Z])$/.exec(word) ?? [];
    if (first === undefined || last === undefined) return [word];
    const from = first.charCodeAt(0);
    return Array.from({ length: last.charCodeAt(0) - from + 1 }, (_, index) => String.fromCharCode(from + index));
  });
}

export function link(world: World, one: string, other: string, name = ""): void {
  const suffix = name === "" ? "" : `#${name}`;
  world.addLink(one, other, suffix);
  world.openEnd(one, other, suffix);
  world.openEnd(other, one, suffix);
}

export function ring(world: World, names: readonly string[]): void {
  for (const name of names) world.addProcess(name);
  names.forEach((name, index) => {
    link(world, name, names[(index + 1) % names.length] ?? name);
  });
}

export function mesh(world: World, names: readonly string[]): void {
  for (const name of names) world.addProcess(name);
  names.forEach((one, index) => {
    for (const other of names.slice(index + 1)) link(world, one, other);
  });
}

/** One of the things that could happen next, again and again; which of them, the seed decides. */
export function wander(world: World, steps: number, seed: number): void {
  const random = lehmer(seed);
  for (let i = 0; i < steps; i += 1) {
    const choices = possible(world);
    const choice = choices[random() % choices.length];
    if (choice === undefined) return;
    choice();
  }
}

function possible(world: World): (() => void)[] {
  const choices: (() => void)[] = [];
  for (const wire of world.wires.values()) {
    if (wire.state === "lost") continue;
    const token = [...world.actor(wire.from).holding][0];
    if (token !== undefined && wire.outbox.length === 0) {
      choices.push(() => {
        world.write(wire.id, token);
        world.moveOutbox(wire.id);
      });
    }
    if (wire.line.framesOnTheWay > 0) choices.push(() => world.arrive(wire.id));
    const ready = (world.actor(wire.to).inbox.get(wire.id) ?? []).find(({ standing }) => standing === "ready");
    if (ready !== undefined) choices.push(() => world.receive(wire.id, ready.token));
  }
  for (const actor of world.actors.values()) {
    for (const ref of actor.capturing.values()) choices.push(() => world.capture(actor.id, ref));
  }
  return choices;
}

/** Everything on its way arrives and every capture asked for is made, until there is nothing more. */
export function settle(world: World): void {
  for (let events = -1; events !== world.events.length; ) {
    events = world.events.length;
    for (const wire of world.wires.values()) while (wire.line.framesOnTheWay > 0) world.arrive(wire.id);
    for (const actor of world.actors.values()) {
      for (const ref of [...actor.capturing.values()]) world.capture(actor.id, ref);
    }
  }
}

/** The generator of Park and Miller (1988): the same numbers everywhere. */
function lehmer(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state;
  };
}
