import { describe } from "node:test";
import { attackTest } from "./abuse/attack.ts";
import { floods } from "./abuse/floods.ts";
import { patience } from "./abuse/patience.ts";

describe("abuse: floods", { concurrency: 2 }, () => {
  for (const attack of floods) attackTest(attack);
});

describe("abuse: those who wait, do not read, or make no sense", { concurrency: 6 }, () => {
  for (const attack of patience) attackTest(attack);
});
