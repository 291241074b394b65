import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import process from "node:process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const runner = fileURLToPath(new URL("../../scripts/test.ts", import.meta.url));

it("tests, and the programs that they start, run with memory overwritten that will be used again", async () => {
  // Of the tests that this one belongs to.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS = "", ...rest } = process.env;
  const options = NODE_OPTIONS.split(" ").filter((option) => !option.startsWith("--import="));
  const env = { ...rest, NODE_OPTIONS: options.join(" ") };
  const { failed, output } = await new Promise<{ failed: boolean; output: string }>((resolve) => {
    execFile(process.execPath, [runner, "poison"], { env }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: `${stdout}${stderr}` }),
    );
  });
  assert.equal(failed, false, output);
  assert.match(output, /^# pass 3$/m);
});
