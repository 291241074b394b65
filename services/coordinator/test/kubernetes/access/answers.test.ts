import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Answers } from "../../../src/kubernetes/access/answers.ts";

const bounds = { cachedMax: 3, yesMs: 1_000, noMs: 100, openMax: 2 };

function open(more: Partial<typeof bounds> = {}) {
  let nowMs = 0;
  const asked: string[] = [];
  const answers = new Answers<string>((answer) => answer === "yes", { ...bounds, ...more, nowMs: () => nowMs });
  const find = (key: string, answer = "yes") =>
    answers.find(key, async () => {
      asked.push(key);
      return answer;
    });
  const forward = (ms: number) => {
    nowMs += ms;
  };
  return { answers, asked, find, forward };
}

describe("answers that are kept for a while", () => {
  it("a yes holds for its time and not longer", async () => {
    const { find, asked, forward } = open();
    await find("a");
    forward(999);
    assert.equal(await find("a", "no"), "yes");
    forward(1);
    assert.equal(await find("a", "no"), "no");
    assert.equal(asked.length, 2);
  });

  it("a no holds for a short time: who gets a role need not wait", async () => {
    const { find, forward } = open();
    assert.equal(await find("a", "no"), "no");
    assert.equal(await find("a"), "no");
    forward(100);
    assert.equal(await find("a"), "yes");
  });

  it("that there was no answer is not kept", async () => {
    const { answers, find } = open();
    await assert.rejects(
      answers.find("a", () => Promise.reject(new Error("away"))),
      /away/,
    );
    assert.equal(await find("a"), "yes");
  });

  it("a flood of wrong tokens pushes out no right one, and stays within the limit", async () => {
    const { find, asked } = open();
    await find("right");
    for (let count = 0; count < 100; count += 1) await find(`wrong ${count}`, "no");
    asked.length = 0;
    await find("right");
    await find("wrong 99", "no");
    await find("wrong 0", "no");
    assert.deepEqual(asked, ["wrong 0"]);
  });

  it("all who ask the same at once share one question, and the open ones are bounded", async () => {
    const { answers } = open();
    let count = 0;
    const gate = Promise.withResolvers<string>();
    const ask = () => {
      count += 1;
      return gate.promise;
    };
    const same = [1, 2, 3].map(() => answers.find("a", ask));
    const other = answers.find("b", ask);
    await assert.rejects(answers.find("c", ask), { code: "TooManyRequests" });
    gate.resolve("yes");
    assert.deepEqual(await Promise.all([...same, other]), ["yes", "yes", "yes", "yes"]);
    assert.equal(count, 2);
  });

  it("with no time at all nothing is kept", async () => {
    const { find, asked } = open({ yesMs: 0 });
    await find("a");
    await find("a");
    await find("b", "no");
    await find("b", "no");
    assert.equal(asked.length, 4);
  });
});
