// Runs in the copy that holds the mutant: looks for a seed that shows the bug, and prints it as JSON.
// `node hunt.ts COUNT SEED,SEED,...`: how many seeds, and those that are passed over. `--all` prints all that fail.

const [count = "1000", skipped = "", mode = "first"] = process.argv.slice(2);
const passedOver = new Set(skipped.split(",").map(Number));
// The copy has its own simulator, beside this file.
const simulator: typeof import("../../src/index.ts") = await import(new URL("src/index.ts", import.meta.url).href);

let killed: { seed: number; checkers: string[]; message: string } | undefined;
let seen: typeof killed;
const failing: number[] = [];
for (let seed = 1; seed <= Number(count) && (killed === undefined || mode === "--all"); seed += 1) {
  if (passedOver.has(seed)) continue;
  const { verdicts } = simulator.run(simulator.generate(seed));
  const first = verdicts[0];
  if (first === undefined) continue;
  failing.push(seed);
  const found = { seed, checkers: [...new Set(verdicts.map(({ checker }) => checker))], message: first.message };
  // The protocol's own assertions count when nobody else sees the bug.
  if (found.checkers.every((checker) => checker === "assertion")) seen ??= found;
  else killed = found;
}
console.log(JSON.stringify(mode === "--all" ? failing : (killed ?? seen ?? {})));
