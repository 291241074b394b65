import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertHarmless, takeAudited, withSystem } from "./support.ts";

const paddingBytes = 64 * 1024;

describe("messages of 64 KiB and a branch that reads slowly", () => {
  const environment = { BRANCH_PADDING_BYTES: String(paddingBytes), BRANCH_CONCURRENCY: "4" };
  const system = withSystem({
    branches: [
      { name: "branch-a", environment },
      { name: "branch-b", environment },
      { name: "branch-c", environment: { ...environment, BRANCH_SLOW_READER_MS: "20" } },
    ],
  });

  it("are captured exactly, messages in pieces and messages that wait for the slow reader included", async () => {
    let inFlightBytes = 0;
    for (let count = 0; count < 6; count += 1) {
      const { judgement, snapshot } = await takeAudited(system());
      assert.equal(judgement, "conserved", JSON.stringify(snapshot.reasons));
      for (const { recordsBytes, outboxBytes } of snapshot.channels) inFlightBytes += recordsBytes + outboxBytes;
    }
    assert.ok(inFlightBytes > paddingBytes, `${inFlightBytes} bytes in flight are less than one message`);
  });

  it("go on unharmed", async () => {
    await assertHarmless(system());
  });
});
