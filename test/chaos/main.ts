/** `npm run chaos [-- --messages N --store STORE --save ...]`: see `--help`. */
import { parseArgs } from "node:util";
import { runChaos } from "./src/chaos.ts";
import { saveResult, table } from "./src/result.ts";

const help = `Applications send each other numbered messages through agents, whose links are cut, stopped, slowed and
emptied by proxies while snapshots are taken all the time; at the end agents and applications are killed and started anew.

  --messages N      messages received in all, at least; 1,000 to 100,000,000 (default 100,000)
  --cuts N          connections ended by faults, at least, before the restarts; 0 to 1,000,000 (default 300)
  --store STORE     redis (a redis-server of its own) or embedded (default redis)
  --processes N     2 to 5 (default 3)
  --calls N         calls that each application keeps open to each other one; 1 to 100 (default 6)
  --restarts N      kills of an agent with its application, 0 to 100 (default 6)
  --minutes-max N   1 to 600 (default 30)
  --seed N          of the faults (default: any)
  --no-silence      without the silence of 22 s that makes an agent give a connection up
  --save            writes the result into docs/reference/chaos.md

Ends with 1 when a message was lost, doubled, re-ordered or damaged, a snapshot that calls itself exact is wrong, or a call
failed that no restart explains.`;

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "100000" },
    cuts: { type: "string", default: "300" },
    store: { type: "string", default: "redis" },
    processes: { type: "string", default: "3" },
    calls: { type: "string", default: "6" },
    restarts: { type: "string", default: "6" },
    "minutes-max": { type: "string", default: "30" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    "no-silence": { type: "boolean" },
    save: { type: "boolean" },
    help: { type: "boolean" },
  },
});

function number(
  name: "messages" | "cuts" | "processes" | "calls" | "restarts" | "minutes-max" | "seed",
  min: number,
  max: number,
) {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(`--${name} is "${values[name]}"; give a whole number from ${min} to ${max}`);
}

if (values.help) console.log(help);
else {
  const { store } = values;
  if (store !== "redis" && store !== "embedded") throw new RangeError(`--store is "${store}"; give redis or embedded`);
  const result = await runChaos(
    {
      messages: number("messages", 1_000, 100_000_000),
      cuts: number("cuts", 0, 1_000_000),
      store,
      places: number("processes", 2, 5),
      lanes: number("calls", 1, 100),
      restarts: number("restarts", 0, 100),
      silence: values["no-silence"] ? "without" : "with",
      msMax: number("minutes-max", 1, 600) * 60_000,
      seed: number("seed", 0, 2 ** 32 - 1),
    },
    (line) => console.log(line),
  );
  console.log(`\n${table(result)}\n`);
  for (const problem of result.problems) console.log(problem);
  console.log(result.problems.length === 0 ? "nothing is wrong" : `${result.problems.length} things are wrong`);
  if (values.save) {
    const given = process.argv.slice(2).filter((argument) => argument !== "--save");
    await saveResult(result, ["npm run chaos --", "--save", ...given].join(" "));
  }
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}
