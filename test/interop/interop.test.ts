import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { smallScale } from "./src/cases.ts";
import { combinations, Matrix } from "./src/matrix.ts";

const casesMin = 21;

/** Every stack calls and is called, once by hand at both ends, where raw lists show; `npm run interop` has them all. */
const chosen: ReadonlySet<string> = new Set([
  "grpc-js to grpc-core",
  "grpc-core to grpc-js",
  "grpc-core to http2",
  "http2 to http2",
]);

describe("gRPC's interop cases, through agents as without them", () => {
  let matrix: Matrix;
  before(async () => {
    matrix = await Matrix.start();
  });
  after(() => matrix?.stop());

  for (const [client, server] of combinations()) {
    const name = `${client.name} to ${server.name}`;
    if (!chosen.has(name)) continue;
    it(`from ${name}`, async () => {
      const results = await matrix.run(client, server, smallScale);
      const problems = results.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`));
      assert.deepEqual(problems, []);
      assert.ok(results.length >= casesMin, `${results.length} cases are fewer than gRPC's ${casesMin}`);
    });
  }
});
