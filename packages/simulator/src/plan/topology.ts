import type { Random } from "../engine/random.ts";

/** Pairs of processes by index: the first dials. The same pair again is another link between the two. */
export function drawTopology(random: Random, processes: number): { name: string; pairs: [number, number][] } {
  const name = random.pick(["ring", "star", "clique", "random"]) ?? "ring";
  const pairs: [number, number][] = [];
  if (processes === 2) pairs.push([0, 1]);
  else if (name === "ring") for (let i = 0; i < processes; i += 1) pairs.push([i, (i + 1) % processes]);
  else if (name === "star") for (let i = 1; i < processes; i += 1) pairs.push(random.happens(0.5) ? [0, i] : [i, 0]);
  else if (name === "clique" && processes <= 7) {
    for (let i = 0; i < processes; i += 1)
      for (let j = 0; j < i; j += 1) pairs.push(random.happens(0.5) ? [i, j] : [j, i]);
  } else {
    // A tree and some more, so that it is connected nearly always.
    for (let i = 1; i < processes; i += 1) if (!random.happens(0.05)) pairs.push([i, random.below(i)]);
    for (let more = random.below(processes); more > 0; more -= 1) {
      const i = random.below(processes);
      const j = random.below(processes);
      if (i !== j) pairs.push([i, j]);
    }
  }
  for (const pair of [...pairs]) {
    if (random.happens(0.15)) pairs.push(random.happens(0.5) ? pair : [pair[1], pair[0]]);
  }
  return { name, pairs };
}
