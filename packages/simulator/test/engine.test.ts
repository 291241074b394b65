import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Engine } from "../src/engine/engine.ts";
import { LocalClock } from "../src/engine/local-clock.ts";
import { Random } from "../src/engine/random.ts";
import { generate } from "../src/plan/generate.ts";
import { renderPlan } from "../src/plan/render.ts";
import { render } from "../src/render.ts";
import { run } from "../src/run.ts";

describe("a run", () => {
  it("is the same, byte for byte, for the same seed", () => {
    for (const seed of [1, 2, 3, 41, 1001]) {
      assert.equal(renderPlan(generate(seed)), renderPlan(generate(seed)));
      assert.equal(render(run(generate(seed)).history), render(run(generate(seed)).history));
    }
  });

  it("is another one for another seed", () => {
    const texts = new Set([1, 2, 3, 4, 5].map((seed) => render(run(generate(seed)).history)));
    assert.equal(texts.size, 5);
  });
});

describe("virtual time", () => {
  it("runs what is due in the order of time, then of asking, and not what was cancelled", () => {
    const engine = new Engine();
    const ran: string[] = [];
    engine.after(20, () => ran.push("c"));
    engine.after(10, () => {
      ran.push(`a at ${engine.nowMs}`);
      engine.after(10, () => ran.push("d"));
    });
    engine.after(10, () => ran.push("b"));
    engine.after(15, () => ran.push("never")).cancel();
    assert.equal(
      engine.run(100, 1_000, () => false),
      "reached",
    );
    assert.deepEqual(ran, ["a at 10", "b", "c", "d"]);
    assert.equal(engine.nowMs, 100);
  });

  it("stops at its bound of events and when it is over", () => {
    const engine = new Engine();
    const again = () => {
      engine.after(1, again);
    };
    again();
    assert.equal(
      engine.run(1_000_000, 50, () => false),
      "exhausted",
    );
    assert.equal(
      engine.run(1_000_000, 100, () => engine.ran === 70),
      "over",
    );
  });

  it("is another one by a clock that is ahead, jumps, or runs fast", () => {
    const engine = new Engine();
    const clock = new LocalClock(engine, 100);
    let firedAtMs = 0;
    clock.setRate(2);
    clock.after(50, () => {
      firedAtMs = engine.nowMs;
    });
    engine.run(40, 100, () => false);
    assert.equal(firedAtMs, 25);
    assert.equal(clock.nowMs, 180);
    clock.jump(-30);
    assert.equal(clock.nowMs, 150);
  });
});

describe("randomness", () => {
  it("gives every part its own stream, always the same", () => {
    const draw = (random: Random) => Array.from({ length: 8 }, () => random.next());
    assert.deepEqual(draw(new Random(7)), draw(new Random(7)));
    assert.notDeepEqual(draw(new Random(7).stream("a")), draw(new Random(7).stream("b")));
    const random = new Random(7);
    draw(random);
    assert.deepEqual(draw(random.stream("a")), draw(new Random(7).stream("a")));
  });

  it("draws evenly and within its limits", () => {
    const random = new Random(1);
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 50_000; i += 1) {
      const drawn = random.below(5);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `drawn ${counts}`);
    assert.deepEqual(new Set(random.shuffled([1, 2, 3])), new Set([1, 2, 3]));
  });
});
