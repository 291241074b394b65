/** `npm run interop [-- --save --case NAME --client STACK --server STACK --small]`: see `--help`. */
import { parseArgs } from "node:util";
import { setScale } from "./behaviour/scale.ts";
import { type Behaviour, runBehaviours } from "./src/behaviours.ts";
import { fullScale, smallScale } from "./src/cases.ts";
import { type CaseResult, combinations, Matrix } from "./src/matrix.ts";
import { saveTable, table } from "./src/table.ts";

const help = `Runs gRPC's interop cases between every client and server stack, directly and through a pair of agents, and
compares what the clients see. A whole run ends with the tests of behaviour/ in their full size.

  --save           writes the table into docs/reference/interop.md
  --small          fewer calls in the concurrent case and the soaks
  --case NAME      only this case; may be repeated
  --client STACK   only this client: grpc-js, grpc-core or http2
  --server STACK   only this server: the same

Ends with 1 when a case fails or a client can tell that the agents are there.`;

const { values } = parseArgs({
  options: {
    save: { type: "boolean" },
    small: { type: "boolean" },
    case: { type: "string", multiple: true },
    client: { type: "string" },
    server: { type: "string" },
    help: { type: "boolean" },
  },
});

async function run(): Promise<void> {
  const scale = values.small ? smallScale : fullScale;
  const wanted = values.case === undefined ? undefined : new Set(values.case);
  const isPart = (wanted ?? values.client ?? values.server) !== undefined;
  if (values.save && (isPart || values.small)) throw new RangeError("--save is for a whole run only");
  const matrix = await Matrix.start();
  const results: CaseResult[] = [];
  try {
    for (const [client, server] of combinations()) {
      if ((values.client ?? client.name) !== client.name || (values.server ?? server.name) !== server.name) continue;
      const some = await matrix.run(client, server, scale, wanted);
      results.push(...some);
      for (const { name, problems, directMs, agentsMs } of some) {
        const outcome = problems.length === 0 ? "same" : problems.join("\n    ");
        console.log(`${client.name} -> ${server.name}  ${name}  ${directMs} ms, ${agentsMs} ms  ${outcome}`);
      }
    }
  } finally {
    await matrix.stop();
  }
  console.log(`\n${table(results)}`);
  const failed = results.filter(({ problems }) => problems.length > 0).length;
  console.log(`\n${results.length - failed} of ${results.length} cases are met, directly and through agents alike`);
  process.exitCode = failed === 0 ? 0 : 1;
  if (isPart) return;
  setScale(values.small ? "small" : "full");
  const behaviours: readonly Behaviour[] = await runBehaviours();
  for (const { name, outcome, elapsedMs } of behaviours) console.log(`${outcome}  ${name}  ${elapsedMs} ms`);
  if (behaviours.length === 0 || behaviours.some(({ outcome }) => outcome === "failed")) process.exitCode = 1;
  if (values.save) await saveTable(results, behaviours, scale);
}

if (values.help) console.log(help);
else await run();
