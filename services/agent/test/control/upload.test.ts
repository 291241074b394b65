import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { chunksOf, type UploadPart } from "../../src/control/upload.ts";
import { header, testAgent, until } from "./support/agent.ts";

const chunkBytes = 256 * 1024;
const never = new AbortController().signal;

async function* iterate(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

function part(bytes: Buffer, kind = "local", channelId = ""): UploadPart {
  return { header: header(kind, channelId), content: contentOf(() => iterate([bytes])) };
}

function contentOf(bytes: () => AsyncIterable<Uint8Array>, sha256?: string): UploadPart["content"] {
  return { bytes, sha256 };
}

/** Divides in pieces of 1 byte to more than three chunks. */
function uneven(bytes: Buffer): Buffer[] {
  const sizes = [1, 2, 700_000, 0, 900_000, 3, chunkBytes, 10, chunkBytes - 10, 100_000];
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

describe("uploading a part", () => {
  it("cuts any pieces into full chunks", async () => {
    const cases: [pieces: number[], chunks: number[]][] = [
      [[], []],
      [[0, 0], []],
      [[1], [1]],
      [[4], [4]],
      [
        [3, 3],
        [4, 2],
      ],
      [
        [1, 1, 1, 1, 1],
        [4, 1],
      ],
      [[9], [4, 4, 1]],
      [
        [2, 9, 1],
        [4, 4, 4],
      ],
      [
        [4, 0, 5],
        [4, 4, 1],
      ],
    ];
    for (const [sizes, expected] of cases) {
      const content = randomBytes(sizes.reduce((sum, size) => sum + size, 0));
      let at = 0;
      const pieces = sizes.map((size) => {
        at += size;
        return content.subarray(at - size, at);
      });
      const chunks: Buffer[] = [];
      for await (const chunk of chunksOf(iterate(pieces), 4)) chunks.push(chunk);
      assert.deepEqual(
        chunks.map(({ length }) => length),
        expected,
        `pieces of ${sizes}`,
      );
      assert.deepEqual(Buffer.concat(chunks), content);
    }
  });

  it("brings 5 MB over in tiny and huge pieces, unharmed", async (t) => {
    const agent = await testAgent(t);
    const content = randomBytes(5_000_000);
    const upload = { header: header(), content: contentOf(() => iterate(uneven(content))) };
    agent.client.start();
    const sha256 = createHash("sha256").update(content).digest("hex");
    assert.deepEqual(await agent.client.upload(upload, never), { outcome: "stored", sizeBytes: 5_000_000, sha256 });
    const [stored] = agent.coordinator.stored;
    assert.ok(stored?.bytes.equals(content));
    assert.deepEqual(stored?.header, upload.header);
    assert.ok(stored?.chunkSizes.slice(0, -1).every((size) => size === chunkBytes));
  });

  it("brings an empty part over", async (t) => {
    const agent = await testAgent(t);
    agent.client.start();
    const outcome = await agent.client.upload(part(Buffer.alloc(0)), never);
    assert.equal(outcome.outcome, "stored");
    assert.equal(agent.coordinator.stored[0]?.bytes.length, 0);
  });

  it("takes from the part only what the coordinator can take", async (t) => {
    const agent = await testAgent(t);
    const chunk = Buffer.alloc(chunkBytes);
    let takenBytes = 0;
    let aheadBytesMax = 0;
    agent.coordinator.behaviour.onChunk = (receivedBytes) => {
      aheadBytesMax = Math.max(aheadBytesMax, takenBytes - receivedBytes);
    };
    async function* bytes() {
      for (let i = 0; i < 128; i += 1) {
        takenBytes += chunk.length;
        yield chunk;
      }
    }
    agent.client.start();
    const outcome = await agent.client.upload({ header: header(), content: contentOf(bytes) }, never);
    assert.equal(outcome.outcome, "stored");
    assert.equal(takenBytes, 32 * 1024 * 1024);
    assert.ok(aheadBytesMax < 6 * 1024 * 1024, `${aheadBytesMax} bytes were between the part and the coordinator`);
  });

  it("is not stored where its content is not what it was when its hash was made", async (t) => {
    const agent = await testAgent(t, { uploadAttemptsMax: 2 });
    agent.client.start();
    const content = randomBytes(1_000);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const upload = (bytes: Buffer) => ({ header: header(), content: contentOf(() => iterate([bytes]), sha256) });
    assert.equal((await agent.client.upload(upload(content), never)).outcome, "stored");
    const damaged = await agent.client.upload(upload(Buffer.from(content).fill(0, 10, 20)), never);
    assert.ok(damaged.outcome === "givenUp" && damaged.code === "AttemptsExhausted", JSON.stringify(damaged));
    assert.equal(agent.coordinator.tries.length, 3);
  });

  it("repeats the whole of it for what may pass by itself", async (t) => {
    const agent = await testAgent(t);
    const codes = [status.UNAVAILABLE, status.ABORTED, status.DATA_LOSS, status.DEADLINE_EXCEEDED, status.CANCELLED];
    agent.coordinator.behaviour.onUpload = (_, tryNumber) => {
      const code = codes[tryNumber - 1];
      return code === undefined ? "store" : { code, details: "not now" };
    };
    agent.client.start();
    const content = randomBytes(600_000);
    assert.equal((await agent.client.upload(part(content), never)).outcome, "stored");
    assert.equal(agent.coordinator.tries.length, codes.length + 1);
    assert.ok(agent.coordinator.stored[0]?.bytes.equals(content));
  });

  it("gives up, with the coordinator's words, what will not pass", async (t) => {
    const agent = await testAgent(t);
    agent.client.start();
    const cases = [
      [status.RESOURCE_EXHAUSTED, "ResourceExhausted"],
      [status.FAILED_PRECONDITION, "NotWanted"],
      [status.NOT_FOUND, "NotWanted"],
      [status.INVALID_ARGUMENT, "Rejected"],
    ] as const;
    for (const [code, expected] of cases) {
      agent.coordinator.tries.length = 0;
      const message = `because of ${expected}`;
      agent.coordinator.behaviour.onUpload = () => ({ code, details: message });
      const outcome = await agent.client.upload(part(randomBytes(600_000)), never);
      assert.deepEqual(outcome, { outcome: "givenUp", code: expected, message });
      assert.equal(agent.coordinator.tries.length, 1);
    }
  });

  it("repeats an answer nobody expects a few times only", async (t) => {
    const agent = await testAgent(t, { uploadAttemptsMax: 3 });
    agent.coordinator.behaviour.onUpload = () => ({ code: status.INTERNAL, details: "oops" });
    agent.client.start();
    const outcome = await agent.client.upload(part(Buffer.from("x")), never);
    assert.deepEqual(outcome, { outcome: "givenUp", code: "AttemptsExhausted", message: "3 tries failed: oops" });
    assert.equal(agent.coordinator.tries.length, 3);
  });

  it("survives a coordinator that dies in the middle of it", async (t) => {
    const agent = await testAgent(t);
    const { coordinator } = agent;
    coordinator.behaviour.onUpload = (_, tryNumber) => (tryNumber === 1 ? "hang" : "store");
    agent.client.start();
    const content = randomBytes(1_000_000);
    const uploaded = agent.client.upload(part(content), never);
    await until("under way", () => coordinator.tries.length === 1);
    coordinator.crash();
    await until("noticed", () => !agent.client.attached);
    await coordinator.start();
    assert.equal((await uploaded).outcome, "stored");
    assert.ok(coordinator.stored[0]?.bytes.equals(content));
  });

  it("repeats one that stands still", async (t) => {
    const agent = await testAgent(t, { uploadStallMs: 200 });
    agent.coordinator.behaviour.onUpload = (_, tryNumber) => (tryNumber === 1 ? "hang" : "store");
    agent.client.start();
    assert.equal((await agent.client.upload(part(randomBytes(1_000)), never)).outcome, "stored");
    assert.ok(agent.coordinator.tries.length >= 2);
  });

  it("ends at once when its signal aborts: under way, in its turn, or before the attach", async (t) => {
    const agent = await testAgent(t, { uploadsMax: 1 });
    const { coordinator, client } = agent;
    coordinator.behaviour.onUpload = () => "hang";
    const aborts = new AbortController();
    const early = client.upload(part(Buffer.from("x")), aborts.signal);
    aborts.abort();
    assert.deepEqual(await early, { outcome: "aborted" });
    await agent.attached();
    const first = new AbortController();
    const second = new AbortController();
    const underWay = client.upload(part(randomBytes(1_000_000)), first.signal);
    const inTurn = client.upload(part(Buffer.from("x"), "calls"), second.signal);
    await until("under way", () => coordinator.uploadsOpen === 1);
    second.abort();
    assert.deepEqual(await inTurn, { outcome: "aborted" });
    first.abort();
    assert.deepEqual(await underWay, { outcome: "aborted" });
    await until("the coordinator knows", () => coordinator.uploadsOpen === 0);
    coordinator.behaviour.onUpload = () => "store";
    assert.equal((await client.upload(part(Buffer.from("x")), never)).outcome, "stored", "the turn was given back");
  });

  it("ends when the client stops", async (t) => {
    const agent = await testAgent(t);
    agent.coordinator.behaviour.onUpload = () => "hang";
    await agent.attached();
    const upload = agent.client.upload(part(Buffer.from("x")), never);
    await until("under way", () => agent.coordinator.uploadsOpen === 1);
    await agent.client.stop();
    assert.deepEqual(await upload, { outcome: "aborted" });
    assert.deepEqual(await agent.client.upload(part(Buffer.from("x")), never), { outcome: "aborted" });
  });

  it("is given up when its content cannot be read", async (t) => {
    const agent = await testAgent(t);
    agent.client.start();
    async function* bytes() {
      yield randomBytes(chunkBytes);
      throw new Error("the disk is gone");
    }
    const outcome = await agent.client.upload({ header: header(), content: contentOf(bytes) }, never);
    assert.deepEqual(outcome, { outcome: "givenUp", code: "Unreadable", message: "the disk is gone" });
    assert.equal(agent.coordinator.stored.length, 0);
    await until("broken off", () => agent.coordinator.uploadsOpen === 0);
  });

  it("uploads a few at a time, and refuses more than may wait", async (t) => {
    const agent = await testAgent(t, { uploadsMax: 2, uploadsWaitingMax: 10 });
    const uploads = Array.from({ length: 11 }, (_, i) =>
      agent.client.upload(part(randomBytes(600_000), "channel", `link:${i}`), never),
    );
    agent.client.start();
    const outcomes = await Promise.all(uploads);
    assert.equal(outcomes.filter(({ outcome }) => outcome === "stored").length, 10);
    const last = outcomes.at(-1);
    assert.equal(last?.outcome === "givenUp" && last.code, "TooManyUploads");
    assert.equal(agent.coordinator.uploadsOpenMax, 2);
  });
});
