import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import { type Context, context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { CutlineError, createLogger, type LogLevel, Secret, silentLogger } from "../src/index.ts";

function capture(level: LogLevel = "trace") {
  const lines: string[] = [];
  const destination = {
    write(line: string): void {
      lines.push(line);
    },
  };
  const logger = createLogger({ service: "agent", level, fields: { incarnation: "i1" }, destination });
  const entries = () => lines.map((line): Record<string, unknown> => JSON.parse(line));
  return { logger, lines, entries };
}

describe("createLogger", () => {
  it("writes one JSON line with level, ISO time, service and fields", () => {
    const { logger, entries } = capture();
    logger.info({ snapshotId: "s1" }, "cut");
    const { time, ...entry } = entries()[0] ?? {};
    assert.deepEqual(entry, { level: "info", service: "agent", incarnation: "i1", snapshotId: "s1", message: "cut" });
    assert.equal(new Date(String(time)).toISOString(), time);
  });

  it("leaves out what is below its level", () => {
    const { logger, entries } = capture("warn");
    logger.trace({}, "a");
    logger.debug({}, "b");
    logger.info({}, "c");
    logger.warn({}, "d");
    logger.error({}, "e");
    assert.deepEqual(
      entries().map((entry) => entry.message),
      ["d", "e"],
    );
  });

  it("hands the fields of a child down", () => {
    const { logger, entries } = capture();
    logger.child({ linkId: "l1" }).child({ peer: "p" }).info({}, "frame");
    assert.equal(entries()[0]?.linkId, "l1");
    assert.equal(entries()[0]?.peer, "p");
  });

  it("redacts secrets at the top and below", () => {
    const { logger, lines, entries } = capture();
    const child = logger.child({ token: "hunter2" });
    child.info(
      {
        password: "hunter2",
        headers: { authorization: "hunter2", host: "shown" },
        request: { headers: { cookie: "hunter2" } },
        wrapped: new Secret("hunter2"),
      },
      "request",
    );
    assert.doesNotMatch(lines.join(""), /hunter2/);
    assert.deepEqual(entries()[0]?.headers, { authorization: "[redacted]", host: "shown" });
    assert.equal(entries()[0]?.wrapped, "[redacted]");
  });

  it("escapes control characters, so a value cannot forge a line", () => {
    const { logger, lines, entries } = capture();
    const forged = '\u001b[31m\r\n{"level":"error"}\u0000';
    logger.info({ peer: forged }, "attached");
    assert.equal(lines.length, 1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is what is tested
    assert.doesNotMatch(lines[0]?.trimEnd() ?? "", /[\u0000-\u001f]/);
    assert.equal(entries()[0]?.peer, forged);
  });

  it("shows errors by code and message, with the stack of the unexpected ones only", () => {
    const { logger, entries } = capture();
    logger.error({ error: new CutlineError("Full", "the queue is full") }, "refused");
    logger.error({ error: new TypeError("oops") }, "refused");
    logger.error({ error: "a string" }, "refused");
    const [expected, unexpected, text] = entries().map((entry) => entry.error as Record<string, unknown>);
    assert.deepEqual(expected, { name: "CutlineError", code: "Full", message: "Full: the queue is full" });
    assert.match(String(unexpected?.stack), /^TypeError: oops\n/);
    assert.deepEqual(text, { message: "a string" });
  });

  it("names the active span", () => {
    const manager = asyncContextManager();
    context.setGlobalContextManager(manager);
    try {
      const { logger, entries } = capture();
      const span = trace.wrapSpanContext({ traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 });
      context.with(trace.setSpan(ROOT_CONTEXT, span), () => logger.info({}, "inside"));
      logger.info({}, "outside");
      const [inside, outside] = entries();
      assert.equal(inside?.traceId, "1".repeat(32));
      assert.equal(inside?.spanId, "2".repeat(16));
      assert.equal(outside !== undefined && "traceId" in outside, false);
    } finally {
      context.disable();
    }
  });
});

describe("silentLogger", () => {
  it("takes everything and says nothing", () => {
    for (const level of ["trace", "debug", "info", "warn", "error"] as const) {
      silentLogger.child({ a: 1 })[level]({}, "nothing");
    }
  });
});

/** The smallest context manager that meets OpenTelemetry's interface. */
function asyncContextManager() {
  const storage = new AsyncLocalStorage<Context>();
  const manager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: <A extends unknown[], F extends (...args: A) => ReturnType<F>>(
      active: Context,
      fn: F,
      thisArg?: ThisParameterType<F>,
      ...args: A
    ): ReturnType<F> => storage.run(active, () => fn.call(thisArg, ...args)),
    bind: <T>(_: Context, target: T): T => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
