import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CutlineError, describeError, reasonOf } from "../src/index.ts";

class StoreError extends CutlineError<"StoreUnavailable"> {}

describe("CutlineError", () => {
  it("gives its code and message as a reason", () => {
    const error = new StoreError("StoreUnavailable", "the store at redis:6379 did not answer; check that it runs");
    assert.equal(error.name, "StoreError");
    assert.deepEqual(error.toReason(), {
      code: "StoreUnavailable",
      message: "the store at redis:6379 did not answer; check that it runs",
    });
    assert.deepEqual(reasonOf(error, "Internal"), error.toReason());
  });

  it("has a fallback code for what others threw", () => {
    assert.deepEqual(reasonOf(new TypeError("x is undefined"), "Internal"), {
      code: "Internal",
      message: "x is undefined",
    });
  });
});

describe("describeError", () => {
  it("names the code, the message and the causes", () => {
    const refused = Object.assign(new Error("connect 127.0.0.1:1"), { code: "ECONNREFUSED" });
    const error = new StoreError("StoreUnavailable", "no answer", { cause: refused });
    assert.equal(describeError(error), "StoreUnavailable: no answer: caused by ECONNREFUSED: connect 127.0.0.1:1");
  });

  it("names every error of an aggregate that says nothing itself", () => {
    assert.equal(describeError(new AggregateError([new Error("IPv4"), new Error("IPv6")])), "IPv4; IPv6");
  });

  it("ends on a chain of causes that goes in a circle", () => {
    const error = new Error("round");
    error.cause = error;
    assert.match(describeError(error), /^round(: caused by round)*$/);
  });

  it("survives a hostile value", () => {
    const hostile = {
      get message(): string {
        throw new Error("no");
      },
    };
    assert.equal(describeError(hostile), "an error that cannot be described");
  });

  it("is bounded for any value", () => {
    fc.assert(
      fc.property(fc.anything(), fc.string({ maxLength: 2000 }), (value, message) => {
        assert.ok(describeError(value).length <= 500);
        assert.ok(describeError(new Error(message, { cause: value })).length <= 500);
      }),
    );
  });
});
