import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { until } from "@cutline/h2/testing";
import { Marker } from "@cutline/proto/link";
import type { SnapshotRef } from "@cutline/protocol";
import { InboundQueue } from "../../src/dataplane/call/inbound-queue.ts";
import { encodeFrameHeader, FrameDecoder, FrameFlag, FrameType } from "../../src/dataplane/link/codec.ts";
import { ArrivedFrame } from "../../src/dataplane/link/frame.ts";
import { FrameConnection } from "../../src/dataplane/link/handshake.ts";
import { encodeHeaders } from "../../src/dataplane/link/headers.ts";
import type { Link } from "../../src/dataplane/link/link.ts";
import { type ProcessOptions, startProcess, type TestProcess } from "../dataplane/processes.ts";
import { linkRaw } from "./raw-agent.ts";

const testTimeoutMs = 30_000;
const readBytes = 64 * 1024;
const openHeaders = encodeHeaders([":method", "POST", ":path", "/a.B/C", "content-type", "application/grpc"]);
const marker = (snapshotId: string) => Marker.encode({ snapshotId, attempt: 1, initiator: "" }).finish();

/** As it comes out of a socket's read: a view of a buffer that is much larger. */
function inLargeRead(bytes: Uint8Array): Buffer {
  const read = Buffer.allocUnsafeSlow(readBytes);
  read.set(bytes, 100);
  return read.subarray(100, 100 + bytes.length);
}

function message(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

async function withProcess(
  options: Omit<ProcessOptions, "id" | "applicationPort">,
  test: (process: TestProcess, open: (id: string) => Link) => Promise<void> | void,
): Promise<void> {
  const process = await startProcess({ id: "bank/callee", applicationPort: 0, ...options });
  const { driver } = process.dataPlane;
  const peer = { processId: "bank/raw", incarnation: "1" };
  try {
    await test(process, (id) => driver.openLink({ id, peer, role: "acceptor" }));
  } finally {
    for (const ref of [...driver.state.snapshots.values()].map((snapshot) => snapshot.ref)) driver.ended(ref);
    await process.stop();
  }
}

/** What a frame that is kept may hold of its read. */
function assertSmall(frames: Iterable<{ readonly payload: Buffer }>, count: number): void {
  const held = [...frames].map(({ payload }) => payload.buffer.byteLength);
  assert.equal(held.length, count);
  assert.ok(
    held.every((bytes) => bytes <= 4_096),
    `kept buffers of ${held.join(", ")} bytes`,
  );
}

describe("what a link keeps of a peer's frames", () => {
  const behindAMarker = { onCapture: () => {} };

  it("a peer that goes on with calls that are over makes the snapshot give way, and keeps its link", {
    timeout: testTimeoutMs,
  }, async () => {
    const linkLimits = { strayBytesMax: 2 * 1024 * 1024 };
    await withProcess({ ...behindAMarker, linkLimits }, async (process) => {
      const raw = await linkRaw(process);
      raw.send(FrameType.marker, 1, 0, marker("s"));
      await until("a capture is asked for", () => process.reports.captures.length === 1);
      const piece = Buffer.alloc(readBytes, 7);
      for (let number = 2; number < 66; number += 1) raw.send(FrameType.message, number, 99, piece);
      const [link] = process.links();
      assert.ok(link !== undefined);
      await until("all of it has come", () => link.receivedThrough === 65);
      const [failure] = process.reports.failures;
      assert.deepEqual([failure?.ref.snapshotId, failure?.code], ["s", "StraysTooLarge"]);
      assert.match(failure?.message ?? "", /^\d+ bytes for calls that are over wait on the channel raw-link:0/);
      assert.deepEqual([link.dead, raw.closed(), link.strays.bytes], [false, false, 0]);
      assert.equal(link.incoming.deliveredCount, 64, "every frame is accounted for");
      raw.destroy();
    });
  });

  it("a peer that sends more of it in one go than all limits allow costs itself the link", {
    timeout: testTimeoutMs,
  }, async () => {
    const strayBytesMax = 1024 * 1024;
    await withProcess({ ...behindAMarker, linkLimits: { strayBytesMax } }, (process, open) => {
      const [link, other] = [open("hostile"), open("honest")];
      link.receive(FrameType.marker, 0, 1, 0, Buffer.from(marker("s")));
      const piece = Buffer.alloc(readBytes);
      let sent = 1;
      for (; !link.dead && sent < 4_000; sent += 1) link.receive(FrameType.message, 0, sent + 1, 99, piece);
      assert.equal(link.dead, true, "its strays are kept without a limit");
      assert.ok((sent - 1) * readBytes <= strayBytesMax + readBytes, `${sent} frames were taken`);
      assert.equal(other.dead, false);
      const line = process.log.find(({ message: text }) => text.includes("link given up"));
      assert.match(String(line?.fields.error), /more than 1048576 bytes came for calls that are over/);
    });
  });

  it("frames without a payload have a limit as well", { timeout: testTimeoutMs }, async () => {
    await withProcess({ ...behindAMarker, linkLimits: { strayBytesMax: 64 * 1024 } }, (_process, open) => {
      const link = open("hostile");
      link.receive(FrameType.marker, 0, 1, 0, Buffer.from(marker("s")));
      for (let number = 2; !link.dead && number < 4_000; number += 1) {
        link.receive(FrameType.halfClose, 0, number, 99, Buffer.alloc(0));
      }
      assert.equal(link.dead, true);
    });
  });

  it("strays behind a marker do not keep the reads that they came by", { timeout: testTimeoutMs }, async () => {
    await withProcess(behindAMarker, (_process, open) => {
      const link = open("l");
      link.receive(FrameType.marker, 0, 1, 0, Buffer.from(marker("s")));
      for (let number = 2; number < 12; number += 1) {
        link.receive(FrameType.message, FrameFlag.endOfMessage, number, 99, inLargeRead(message("stray")));
      }
      assertSmall(link.strays, 10);
      assert.deepEqual([...link.strays][3]?.payload, message("stray"));
    });
  });

  it("frames that wait for the application do not keep the reads that they came by", {
    timeout: testTimeoutMs,
  }, async () => {
    await withProcess({}, (process, open) => {
      process.application.ready = false;
      const link = open("l");
      link.receive(FrameType.open, 0, 1, 1, inLargeRead(openHeaders));
      for (let number = 2; number < 12; number += 1) {
        link.receive(FrameType.message, FrameFlag.endOfMessage, number, 1, inLargeRead(message(`m${number}`)));
      }
      const waiting = [...(link.calls.get(1)?.inbound.remaining() ?? [])];
      assertSmall(waiting, 11);
      assert.deepEqual(
        waiting.slice(1).map(({ payload }) => payload),
        Array.from({ length: 10 }, (_, i) => message(`m${i + 2}`)),
      );
    });
  });

  it("recorded frames do not keep the reads that they came by, though they were handed over", {
    timeout: testTimeoutMs,
  }, async () => {
    const ref: SnapshotRef = { snapshotId: "s", attempt: 1 };
    await withProcess({}, (process, open) => {
      const link = open("l");
      process.dataPlane.driver.start(ref, "start");
      const arrived: ArrivedFrame[] = [];
      const { recorder } = process;
      const keep = recorder.keep.bind(recorder);
      recorder.keep = (of, channel, record) => {
        const outcome = keep(of, channel, record);
        arrived.push(record.frame);
        return outcome;
      };
      link.receive(FrameType.open, 0, 1, 1, inLargeRead(openHeaders));
      link.receive(FrameType.message, FrameFlag.endOfMessage, 2, 1, inLargeRead(message("recorded")));
      assertSmall(arrived, 2);
      assert.equal(recorder.encode(ref, link.incoming.id).encoded.length, 2);
    });
  });

  it("a large payload, and one that is handed over at once, is no copy", () => {
    const queue = new InboundQueue();
    const frame = (number: number, payload: Buffer) => new ArrivedFrame(FrameType.message, 1, number, 1, payload);
    const large = inLargeRead(Buffer.alloc(20_000));
    queue.append(frame(1, large));
    queue.keepLast();
    const small = inLargeRead(message("handed"));
    const handed = frame(2, small);
    queue.append(handed);
    queue.advance();
    queue.advance();
    queue.keepLast();
    assert.deepEqual([[...queue.remaining()][0]?.payload, handed.payload], [large, small]);
    assert.deepEqual(
      [large.buffer, small.buffer],
      [...queue.remaining()].map(({ payload }) => payload.buffer),
    );
  });

  it("what comes behind a hello does not keep the read that it came by", () => {
    const socket = Object.assign(new EventEmitter(), { setNoDelay() {}, destroy() {} });
    const connection = new FrameConnection(socket as unknown as Socket, () => 0);
    const pings = Array.from({ length: 5 }, () => encodeFrameHeader(FrameType.ping, 0, 0, 0, 3));
    const frames = Buffer.concat(pings.flatMap((header) => [header, Buffer.from("abc")]));
    socket.emit("data", inLargeRead(frames));
    const early: { readonly payload: Buffer }[] = [];
    connection.receiveWith((_type, _flags, _number, _callId, payload) => early.push({ payload }));
    assertSmall(early, 5);
    assert.deepEqual(early[4]?.payload, Buffer.from("abc"));
  });

  it("a frame that comes in many small reads keeps none of them", () => {
    const payload = Buffer.from(Array.from({ length: 50_000 }, (_, i) => i % 251));
    const bytes = Buffer.concat([encodeFrameHeader(FrameType.message, 0, 1, 1, payload.length), payload]);
    const taken: Buffer[] = [];
    const decoder = new FrameDecoder({ onFrame: (_type, _flags, _number, _callId, each) => taken.push(each) });
    for (let at = 0; at < bytes.length; at += 1) {
      const read = Buffer.from(bytes.subarray(at, at + 1));
      decoder.feed(read);
      // Whoever had kept the read would see this.
      read.fill(0xff);
    }
    assert.equal(taken.length, 1);
    assert.ok(taken[0]?.equals(payload));
  });
});
