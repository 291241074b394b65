import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { auditGlobalState, type GlobalState, moneyInFlightCents } from "../src/audit.ts";
import { Branch } from "../src/contract.ts";

type Direction = "request" | "response";

/** A message on its way, as a global state shows it. */
function message(name: string, direction: Direction, fields: object) {
  const method = Branch.service[name];
  assert.ok(method);
  const bytes = direction === "request" ? method.requestSerialize(fields) : method.responseSerialize(fields);
  return { method: method.path, direction, complete: true, payloadBase64: bytes.toString("base64") };
}

function branch(id: string, balanceCents: number, unresolvedCents = 0) {
  return { id, encoding: "utf8" as const, data: JSON.stringify({ branch: id, balanceCents, unresolvedCents }) };
}

const balanced: GlobalState = {
  processes: [branch("bank/a", 700), branch("bank/b", 1_000, 5)],
  channels: [
    {
      id: "a-to-b",
      messages: [
        message("Transfer", "request", { id: "a/1", from: "a", to: "b", amountCents: 100, padding: Buffer.alloc(10) }),
        message("Route", "request", { id: "a/2", amountCents: 60, via: ["b", "a"] }),
        message("Settle", "request", { id: "a/3", amountCents: 30 }),
      ],
    },
    {
      id: "b-to-a",
      messages: [
        message("Transfer", "response", { accepted: false, amountCents: 50, reason: "no" }),
        message("Transfer", "response", { accepted: true, amountCents: 9_999 }),
        message("Route", "response", { accepted: false, amountCents: 40 }),
        message("Settle", "response", { id: "a/0", accepted: false, amountCents: 15 }),
        message("Settle", "response", { id: "a/0", accepted: true, amountCents: 9_999 }),
        message("Greet", "response", { branch: "b" }),
      ],
    },
  ],
};

describe("auditGlobalState", () => {
  it("finds all money in balances, in unresolved amounts and on its way", () => {
    assert.deepEqual(auditGlobalState(balanced, 2_000), {
      balancesCents: 1_700,
      inFlightCents: 295,
      unresolvedCents: 5,
      totalCents: 2_000,
      perProcess: {
        "bank/a": { balanceCents: 700, unresolvedCents: 0 },
        "bank/b": { balanceCents: 1_000, unresolvedCents: 5 },
      },
      perChannel: { "a-to-b": 190, "b-to-a": 105 },
      problems: [],
      verdict: "conserved",
    });
  });

  it("reads a state that is stored as base64", () => {
    const data = Buffer.from(JSON.stringify({ balanceCents: 7, unresolvedCents: 0 })).toString("base64");
    const audit = auditGlobalState({ processes: [{ id: "a", encoding: "base64", data }], channels: [] }, 7);
    assert.equal(audit.verdict, "conserved");
  });

  it("sees one lost message, one counted twice, and one cent too many", () => {
    const [there, back] = balanced.channels;
    assert.ok(there && back);
    const lost = { ...there, messages: there.messages.slice(1) };
    const twice = { ...there, messages: [...there.messages, ...there.messages.slice(-1)] };
    assert.equal(auditGlobalState({ ...balanced, channels: [lost, back] }, 2_000).totalCents, 1_900);
    assert.equal(auditGlobalState({ ...balanced, channels: [lost, back] }, 2_000).verdict, "violated");
    assert.equal(auditGlobalState({ ...balanced, channels: [twice, back] }, 2_000).verdict, "violated");
    assert.equal(auditGlobalState(balanced, 1_999).verdict, "violated");
  });

  it("is never content with what it cannot read", () => {
    for (const data of ["", "null", "{}", '{"balanceCents":"7","unresolvedCents":0}']) {
      const audit = auditGlobalState({ processes: [{ id: "bank/x", encoding: "utf8", data }], channels: [] }, 0);
      assert.equal(audit.verdict, "violated", data);
      assert.match(audit.problems.join(), /bank\/x is not the state of a branch/);
    }
    const whole = message("Transfer", "request", { id: "a/1" });
    for (const broken of [
      { ...whole, complete: false },
      { ...whole, payloadBase64: "//8=" },
    ]) {
      const audit = auditGlobalState({ processes: [], channels: [{ id: "a-to-b", messages: [broken] }] }, 0);
      assert.equal(audit.verdict, "violated");
      assert.match(audit.problems.join(), /channel a-to-b, message 0/);
    }
  });
});

describe("moneyInFlightCents", () => {
  it("counts nothing for the methods of other services", () => {
    assert.equal(moneyInFlightCents("/grpc.health.v1.Health/Check", "request", Buffer.from("anything")), 0);
  });
});
