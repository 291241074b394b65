import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CutlineError, createLifecycle, type Part, silentLogger } from "../src/index.ts";

function recorder() {
  const events: string[] = [];
  const part = (name: string, overrides: Partial<Part> = {}): Part => ({
    name,
    start: () => void events.push(`start ${name}`),
    stop: () => void events.push(`stop ${name}`),
    ...overrides,
  });
  return { events, part };
}

const never = (): Promise<void> => Promise.withResolvers<void>().promise;

function withCode(code: string) {
  return (error: unknown) => error instanceof CutlineError && error.code === code;
}

describe("createLifecycle", () => {
  it("starts in order and stops in the reverse", async () => {
    const { events, part } = recorder();
    const lifecycle = createLifecycle({ parts: [part("store"), part("server")], logger: silentLogger });
    await lifecycle.start();
    assert.deepEqual(await lifecycle.stop(), { outcome: "clean" });
    assert.deepEqual(events, ["start store", "start server", "stop server", "stop store"]);
  });

  it("stops what it started when a later part fails", async () => {
    const { events, part } = recorder();
    const broken = part("server", { start: () => Promise.reject(new Error("port taken")) });
    const lifecycle = createLifecycle({ parts: [part("store"), broken, part("late")], logger: silentLogger });
    await assert.rejects(
      lifecycle.start(),
      (error) => withCode("StartFailed")(error) && String(error).includes("server did not start: port taken"),
    );
    assert.deepEqual(events, ["start store", "stop store"]);
    assert.deepEqual(await lifecycle.stop(), { outcome: "clean" });
  });

  it("does not wait for ever for a part to start, and stops it too", async () => {
    const { events, part } = recorder();
    const lifecycle = createLifecycle({
      parts: [part("store"), part("server", { start: never })],
      logger: silentLogger,
      startMsMax: 5,
    });
    await assert.rejects(lifecycle.start(), withCode("StartTimedOut"));
    assert.deepEqual(events, ["start store", "stop server", "stop store"]);
  });

  it("goes on past parts that hang or fail at their stop, and names them", async () => {
    const { events, part } = recorder();
    const parts = [
      part("store"),
      part("hangs", { stop: never, stopMsMax: 5 }),
      part("fails", { stop: () => Promise.reject(new Error("boom")) }),
    ];
    const lifecycle = createLifecycle({ parts, logger: silentLogger });
    await lifecycle.start();
    assert.deepEqual(await lifecycle.stop(), {
      outcome: "unclean",
      parts: [
        { name: "fails", message: "boom" },
        { name: "hangs", message: "did not stop within 5 ms" },
      ],
    });
    assert.equal(events.at(-1), "stop store");
  });

  it("stops once, however often it is asked", async () => {
    const { events, part } = recorder();
    const lifecycle = createLifecycle({ parts: [part("store")], logger: silentLogger });
    await lifecycle.start();
    const outcomes = await Promise.all([lifecycle.stop(), lifecycle.stop(), lifecycle.stop()]);
    assert.deepEqual(outcomes, [{ outcome: "clean" }, { outcome: "clean" }, { outcome: "clean" }]);
    assert.deepEqual(events, ["start store", "stop store"]);
  });

  it("breaks a start off when it is stopped meanwhile", async () => {
    const { events, part } = recorder();
    const gate = Promise.withResolvers<void>();
    const parts = [part("store", { start: () => gate.promise }), part("server")];
    const lifecycle = createLifecycle({ parts, logger: silentLogger });
    const started = assert.rejects(lifecycle.start(), withCode("StopRequested"));
    const stopped = lifecycle.stop();
    gate.resolve();
    assert.deepEqual(await stopped, { outcome: "clean" });
    await started;
    assert.deepEqual(events, ["stop store"]);
  });
});
