import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { build } from "./build.ts";
import { mutants, uncaught } from "./list.ts";
import type { Mutant } from "./mutant.ts";

interface Kill {
  readonly seed?: number;
  readonly checkers?: readonly string[];
  readonly message?: string;
}

interface Hunted {
  readonly guarded: Kill;
  readonly unguarded: Kill;
}

const execute = promisify(execFile);
const huntMsMax = 300_000;
const unguardedSeedsMax = 150;
const page = fileURLToPath(new URL("../../../../docs/reference/mutants.md", import.meta.url));

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    jobs: { type: "string", default: String(availableParallelism()) },
    only: { type: "string" },
    write: { type: "boolean", default: true },
  },
  allowNegative: true,
});

const chosen = mutants.filter(({ name }) => values.only === undefined || name.includes(values.only));
/** A seed that fails without any mutant says nothing of one. */
const failing = JSON.parse(await hunt(undefined, "guarded", Number(values.seeds), "", "--all")) as number[];
if (failing.length > 0)
  console.log(`the code as it is fails for these seeds, which are passed over: ${failing.join(", ")}`);
/** Without guards the code as it is has failures of its own: who is no part of a picture shows in the certificate alone. */
const failingUnguarded = JSON.parse(await hunt(undefined, "unguarded", unguardedSeedsMax, "", "--all")) as number[];
const kills = new Map<string, Hunted>();

const waiting = [...chosen];
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
const survivors = chosen.filter(({ name }) => isAlive(kills.get(name)));
console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants killed within ${values.seeds} seeds`);
if (values.write && values.only === undefined) writeFileSync(page, document());
process.exitCode = survivors.length === 0 ? 0 : 1;

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const guarded = JSON.parse(await hunt(mutant, "guarded", Number(values.seeds), failing.join(","))) as Kill;
    const skipped = failingUnguarded.join(",");
    const unguarded = JSON.parse(await hunt(mutant, "unguarded", unguardedSeedsMax, skipped)) as Kill;
    kills.set(mutant.name, { guarded, unguarded });
    const alone = unguarded.seed === undefined ? "nobody" : `${unguarded.checkers?.join(", ")} (${unguarded.seed})`;
    const how =
      guarded.seed === undefined
        ? unguarded.seed === undefined
          ? "SURVIVES"
          : "guarded"
        : `seed ${guarded.seed} by ${guarded.checkers?.join(", ")}`;
    console.log(`${mutant.name}: ${how}; unguarded ${alone}; ${(guarded.message ?? "").slice(0, 100)}`);
  }
}

/** Where the protocol's own guards let nothing wrong through, the bug has to show without them. */
function isAlive(hunted: Hunted | undefined): boolean {
  return hunted?.guarded.seed === undefined && hunted?.unguarded.seed === undefined;
}

/** What the hunt prints. */
async function hunt(
  mutant: Mutant | undefined,
  how: "guarded" | "unguarded",
  seeds: number,
  ...more: string[]
): Promise<string> {
  const folder = build(mutant, how);
  try {
    const script = join(folder, "simulator/hunt.ts");
    const { stdout } = await execute(
      process.execPath,
      ["--conditions=cutline-source", script, String(seeds), ...more],
      {
        timeout: huntMsMax,
        maxBuffer: 2 ** 24,
      },
    );
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function document(): string {
  const rows = chosen.map(({ name, breaks, file }) => {
    const { guarded, unguarded } = kills.get(name) ?? { guarded: {}, unguarded: {} };
    const { seed = unguarded.seed === undefined ? "survives" : `${unguarded.seed}, unguarded`, checkers = [] } =
      guarded;
    const place = file.replace("/src/", "/");
    return `| \`${name}\` | ${breaks} | \`${place}\` | ${seed} | ${checkers.join(", ")} | ${unguarded.checkers?.join(", ") ?? ""} |`;
  });
  return `# Mutants

Deliberate bugs, each put into a copy of the code by \`npm run mutants --workspace packages/simulator\`, and the first seed
whose schedule shows it. This page is written by that command; do not edit it.

The checkers: I1 by vector clocks; I2 the frames in flight, one by one; \`tokens\` their conservation; \`state\` the local
states and the calls in process; \`numbers\` the frames' numbers and their order; I3 what applications receive; I4 whether a
doubtful picture says so; I5 the parts; I6 that everything ends, and well when nothing was disturbed; I9 publication
and terms; \`assertion\` the protocol's own assertions, named where they alone saw the bug or saw it as well.

${chosen.length - survivors.length} of ${chosen.length} are killed within ${values.seeds} seeds.

The last column is the same with the protocol's assertions and the certificate switched off in that copy, so that only the
checkers are left to see it (the first ${unguardedSeedsMax} seeds). Where a seed is marked "unguarded", those guards keep
the bug from doing harm, and it shows only without them.

| mutant | what it breaks | in | killed by seed | seen by | unguarded, seen by |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

## What it does not catch

${uncaught.map((line) => `- ${line}`).join("\n")}
`;
}
