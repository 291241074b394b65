import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FuzzResult, fuzz } from "./engine/fuzz.ts";
import { loadTarget, moduleOf, targetNames } from "./targets/index.ts";

const workers = 2;
const seed = 20_261_123;

function told({ findings }: FuzzResult): string {
  return findings.map(({ index, message, inputHex }) => `execution ${index}: ${message}\ninput ${inputHex}`).join("\n");
}

describe("hostile input, after all that ever failed", () => {
  for (const name of targetNames) {
    it(`costs ${name} nothing but what it is for`, { timeout: 400_000 }, async () => {
      const module = moduleOf(name);
      const { testExecutions: executions } = await loadTarget(module);
      const result = await fuzz({ module, executions, seed, workers });
      assert.equal(told(result), "");
      assert.ok(result.executions >= executions);
    });
  }
});

describe("the fuzzer", () => {
  const broken = (name: string) => new URL(`./test/broken/${name}.ts`, import.meta.url).href;

  it("finds an error that is thrown outside of the execution, and says by what", async () => {
    const { findings } = await fuzz({ module: broken("throws"), executions: 2_000, seed, workers: 1 });
    assert.equal(findings.length, 1);
    assert.match(findings[0]?.message ?? "", /it began with 7/);
    assert.match(findings[0]?.inputHex ?? "", /^07/);
  });

  it("finds an execution that never ends", async () => {
    const { findings } = await fuzz({ module: broken("hangs"), executions: 2_000, seed, workers: 1, hangMs: 500 });
    assert.match(findings[0]?.message ?? "", /^no progress for \d+ ms$/);
    assert.match(findings[0]?.inputHex ?? "", /^07/);
  });

  it("finds a target that keeps more and more", async () => {
    const { findings } = await fuzz({ module: broken("keeps"), executions: 100_000, seed, workers: 1 });
    assert.match(findings[0]?.message ?? "", /bytes more are held/);
  });

  it("gives the same inputs for the same seed", async () => {
    const run = () => fuzz({ module: broken("throws"), executions: 2_000, seed: 5, workers: 1 });
    assert.deepEqual((await run()).findings[0]?.index, (await run()).findings[0]?.index);
  });
});
