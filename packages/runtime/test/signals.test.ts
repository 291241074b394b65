import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { runUntilSignal, silentLogger } from "../src/index.ts";

function setUp(stop: () => Promise<unknown>, graceMs = 60_000) {
  const process = new EventEmitter();
  const codes: number[] = [];
  const ended = runUntilSignal({ process, logger: silentLogger, stop, graceMs, exit: (code) => codes.push(code) });
  return { process, codes, ended };
}

const never = (): Promise<void> => Promise.withResolvers<void>().promise;

describe("runUntilSignal", () => {
  it("stops in order and ends with 0", async () => {
    const { process, ended } = setUp(async () => undefined);
    process.emit("SIGTERM");
    assert.equal(await ended, 0);
    assert.deepEqual(process.eventNames(), []);
  });

  it("ends with 1 when stopping fails", async () => {
    const { process, ended } = setUp(() => Promise.reject(new Error("boom")));
    process.emit("SIGINT");
    assert.equal(await ended, 1);
  });

  it("ends with 1 when stopping outlasts its grace", async () => {
    const { process, ended } = setUp(never, 5);
    process.emit("SIGTERM");
    assert.equal(await ended, 1);
  });

  it("ends at once at the second signal, and only once", async () => {
    const stopped = Promise.withResolvers<void>();
    const { process, codes, ended } = setUp(() => stopped.promise);
    process.emit("SIGTERM");
    process.emit("SIGINT");
    assert.equal(await ended, 130);
    stopped.resolve();
    await stopped.promise;
    assert.deepEqual(codes, [130]);
  });

  for (const event of ["uncaughtException", "unhandledRejection"]) {
    it(`ends with 1 at an ${event}`, async () => {
      const { process, ended } = setUp(never);
      process.emit(event, new Error("boom"));
      assert.equal(await ended, 1);
    });
  }

  it("works on a real process", async () => {
    const index = new URL("../src/index.ts", import.meta.url).href;
    const program = `
      import { createLogger, runUntilSignal } from ${JSON.stringify(index)};
      const alive = setInterval(() => {}, 1000);
      runUntilSignal({
        process, logger: createLogger({ service: "test", level: "info" }), graceMs: 60000,
        stop: async () => clearInterval(alive), exit: (code) => process.exit(code),
      });
      console.log("ready");
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const wasReady = output.includes("ready");
      output += chunk;
      if (!wasReady && output.includes("ready")) {
        child.kill("SIGTERM");
      }
    });
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
    assert.match(output, /"message":"stopping"/);
  });
});
