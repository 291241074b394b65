import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "@cutline/h2/testing";
import { Marker } from "@cutline/proto/link";
import { FrameFlag, FrameType } from "../../src/dataplane/link/codec.ts";
import { decodeHeaders, encodeHeaders, headerValue } from "../../src/dataplane/link/headers.ts";
import { linkRaw, type RawAgent } from "../link/raw-agent.ts";
import { type ProcessOptions, startProcess, type TestProcess } from "./processes.ts";

const testTimeoutMs = 30_000;
const headerBytesMax = 2 * 1024 * 1024;
const blockBytes = 60 * 1024;
const opening = encodeHeaders([
  ...[":method", "POST", ":path", "/a.B/C", "content-type", "application/grpc"],
  ...["x-large", "x".repeat(blockBytes)],
]);

async function withRaw(
  options: Omit<ProcessOptions, "id" | "applicationPort">,
  test: (process: TestProcess, raw: RawAgent) => Promise<void>,
): Promise<void> {
  const process = await startProcess({
    id: "bank/callee",
    applicationPort: 0,
    linkLimits: { headerBytesMax },
    ...options,
  });
  const raw = await linkRaw(process);
  try {
    await test(process, raw);
  } finally {
    const { driver } = process.dataPlane;
    for (const { ref } of [...driver.state.snapshots.values()]) driver.ended(ref);
    raw.destroy();
    await process.stop();
  }
}

function statusesOf(raw: RawAgent): { readonly callId: number; readonly status: string | undefined }[] {
  return raw.frames
    .filter(({ type }) => type === FrameType.trailers)
    .map(({ callId, payload }) => ({ callId, status: headerValue(decodeHeaders(payload), "grpc-status") }));
}

describe("header blocks that wait for the application", () => {
  it("from half of the limit on, calls that bring more are refused, and the link stays", {
    timeout: testTimeoutMs,
  }, async () => {
    await withRaw({}, async (process, raw) => {
      process.application.ready = false;
      const calls = 100;
      for (let i = 0; i < calls; i += 1) raw.send(FrameType.open, i + 1, 2 * i + 1, opening);
      const [link] = process.links();
      assert.ok(link !== undefined);
      await until("all have come", () => link.receivedThrough === calls);
      const taken = Math.floor(headerBytesMax / 2 / opening.length);
      await until("the rest is answered", () => statusesOf(raw).length === calls - taken);
      assert.ok(statusesOf(raw).every(({ status, callId }) => status === "8" && callId > 2 * taken - 1));
      assert.ok(link.kept.headerBytes <= headerBytesMax / 2 + opening.length, `${link.kept.headerBytes} bytes`);
      assert.equal(link.dead, false);
      // Their messages are nobody's, and are not kept.
      for (let i = 0; i < calls; i += 1) {
        raw.send(FrameType.message, calls + i + 1, 2 * i + 1, Buffer.alloc(2_000, 1), FrameFlag.endOfMessage);
      }
      await until("their messages have come", () => link.receivedThrough === 2 * calls);
      assert.equal(link.kept.bytes - link.kept.headerBytes, taken * 2_000);

      process.application.error = "it does not come";
      process.application.ready = true;
      process.dataPlane.applicationCameUp();
      await until("those that waited are handed over", () => statusesOf(raw).length === calls);
      assert.deepEqual([link.kept.bytes, process.dataPlane.memory.isFull], [0, false]);
    });
  });

  it("behind a marker, the snapshot gives way and no call is refused", { timeout: testTimeoutMs }, async () => {
    await withRaw({ onCapture: () => {} }, async (process, raw) => {
      process.application.error = "not today";
      raw.send(FrameType.marker, 1, 0, Marker.encode({ snapshotId: "s", attempt: 1, initiator: "" }).finish());
      await until("a capture is asked for", () => process.reports.captures.length === 1);
      const calls = 20;
      for (let i = 0; i < calls; i += 1) raw.send(FrameType.open, i + 2, 2 * i + 1, opening);
      await until("the snapshot has given way", () => process.reports.failures.length === 1);
      const [failure] = process.reports.failures;
      assert.deepEqual([failure?.ref.snapshotId, failure?.code], ["s", "InboundTooLarge"]);
      assert.match(failure?.message ?? "", /^\d+ bytes of header blocks of one link wait for the application$/);
      await until("the calls have gone on", () => statusesOf(raw).length === calls);
      assert.ok(
        statusesOf(raw).every(({ status }) => status === "14"),
        "answered by the application's absence",
      );
      assert.deepEqual([raw.closed(), process.links()[0]?.kept.bytes], [false, 0]);
    });
  });

  it("a peer that sends beyond the whole limit in one go costs itself the link", {
    timeout: testTimeoutMs,
  }, async () => {
    await withRaw({ onCapture: () => {} }, async (process, raw) => {
      const { driver } = process.dataPlane;
      const [link] = process.links();
      assert.ok(link !== undefined);
      link.receive(
        FrameType.marker,
        0,
        1,
        0,
        Buffer.from(Marker.encode({ snapshotId: "s", attempt: 1, initiator: "" }).finish()),
      );
      let sent = 0;
      for (; !link.dead && sent < 1_000; sent += 1) link.receive(FrameType.open, 0, sent + 2, 2 * sent + 1, opening);
      assert.equal(link.dead, true, "its header blocks are kept without a limit");
      assert.ok(sent * opening.length <= headerBytesMax + 2 * opening.length, `${sent} blocks were kept`);
      assert.equal(driver.memory.bytes, 0);
      await until("the peer is told", () => raw.closed());
    });
  });
});

describe("reads that kept frames came by", () => {
  it("are given up after a while, also where the frames were handed over", { timeout: testTimeoutMs }, async () => {
    await withRaw({}, async (process) => {
      process.application.ready = false;
      const [link] = process.links();
      assert.ok(link !== undefined);
      const small = encodeHeaders([":method", "POST", ":path", "/a.B/C", "content-type", "application/grpc"]);
      const message = Buffer.alloc(40, 1);
      message.writeUIntBE(35, 0, 5);
      const inRead = (bytes: Buffer) => {
        const read = Buffer.allocUnsafeSlow(64 * 1024);
        bytes.copy(read, 7);
        return read.subarray(7, 7 + bytes.length);
      };
      link.receive(FrameType.open, 0, 1, 1, inRead(small));
      link.receive(FrameType.message, FrameFlag.endOfMessage, 2, 1, inRead(message));
      const call = link.calls.get(1);
      // As they are when the application has them and has not said so.
      call?.inbound.advance();
      call?.inbound.advance();
      for (let number = 3; number < 20; number += 1) {
        link.receive(FrameType.message, 0, number, 99, Buffer.alloc(1024 * 1024));
      }
      const held = [...(call?.inbound.remaining() ?? [])].map(({ payload }) => payload.buffer.byteLength);
      assert.deepEqual(held, [small.length, message.length]);
      assert.deepEqual(call?.request.bytes(), message);
    });
  });
});

describe("a cut", () => {
  it("is made with 200,000 small messages waiting for the application", { timeout: testTimeoutMs }, async () => {
    await withRaw({}, async (process) => {
      process.application.ready = false;
      const { driver } = process.dataPlane;
      const [link] = process.links();
      assert.ok(link !== undefined);
      const small = encodeHeaders([":method", "POST", ":path", "/a.B/C", "content-type", "application/grpc"]);
      const empty = Buffer.alloc(5);
      const [calls, messages] = [4, 50_000];
      let number = 0;
      for (let call = 0; call < calls; call += 1) {
        link.receive(FrameType.open, 0, ++number, 2 * call + 1, Buffer.from(small));
        for (let i = 0; i < messages; i += 1) {
          link.receive(FrameType.message, FrameFlag.endOfMessage, ++number, 2 * call + 1, empty);
        }
      }
      driver.start({ snapshotId: "s", attempt: 1 }, "start");
      assert.equal(process.reports.cuts.length, 1);
      assert.equal(process.recorder.encode({ snapshotId: "s", attempt: 1 }, link.incoming.id).encoded.length, number);
    });
  });
});
