import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPayloadDecoder } from "../../src/state/payloads.ts";
import { messageView } from "../../src/state/views.ts";
import { bankDescriptorSet, transferBytes, transferMethod } from "../http/support/bank.ts";

describe("the payload decoder", () => {
  const decode = createPayloadDecoder(bankDescriptorSet());

  it("decodes both directions of a method it knows", () => {
    assert.deepEqual(decode(transferMethod, "request", transferBytes), { json: { account: "alice", cents: 42 } });
    assert.deepEqual(decode(transferMethod, "response", Buffer.alloc(0)), { json: {} });
  });

  it("says nothing of a method it does not know", () => {
    assert.equal(decode("/bank.v1.Bank/Rob", "request", transferBytes), undefined);
    assert.equal(decode("constructor", "request", transferBytes), undefined);
  });

  it("says why a payload does not decode", () => {
    const outcome = decode(transferMethod, "request", Buffer.from([0x0a, 0xff, 1]));
    assert.match(JSON.stringify(outcome), /jsonError.*bank\.v1\.TransferRequest/);
  });

  it("is not asked about payloads above decodeBytesMax", () => {
    const message = {
      callId: 1,
      method: transferMethod,
      direction: "request",
      messageIndex: 0,
      source: "records",
      complete: true,
      compressed: false,
      payload: transferBytes,
    } as const;
    assert.match(JSON.stringify(messageView(message, { decode, decodeBytesMax: 8 })), /jsonError.*decodeBytesMax is 8/);
  });

  it("refuses what is not a descriptor set", () => {
    assert.throws(() => createPayloadDecoder(Buffer.from("not protobuf")), { code: "BadDescriptorSet" });
  });
});
