import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../src/checkers/", import.meta.url));
const specifiers = /(?:\bfrom|\bimport|\bimport\()\s*"([^"]+)"/g;

describe("the checkers' code", () => {
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    it(`${file} imports nothing but other checkers`, () => {
      const imports = [...readFileSync(`${folder}${file}`, "utf8").matchAll(specifiers)].map(([, name]) => name ?? "");
      assert.deepEqual(
        imports.filter((name) => !/^\.\/[^/]+\.ts$/.test(name)),
        [],
      );
    });
  }
});
