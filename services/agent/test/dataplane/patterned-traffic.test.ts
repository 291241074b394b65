import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { methods, startGrpcServer, until } from "@cutline/h2/testing";
import { checkCertificate, type SnapshotRef } from "@cutline/protocol";
import { poisonReleasedMemory } from "@cutline/runtime/testing";
import * as grpc from "@grpc/grpc-js";
import { evidenceOf, isComplete, recordedFrames, wholeMessages } from "./global-state.ts";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "./processes.ts";
import { startTcpProxy } from "./tcp-proxy.ts";

poisonReleasedMemory();

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

/** Of whole messages; with the prefix of gRPC and the heads of frames they end at every place of a read and of a slab. */
const sizes = [8, 9, 100, 5_000, 16_371, 16_384, 32_731, 32_763, 65_515, 65_536, 65_537, 200_000];
/** Messages are taken out of it at places of their own. */
const noise = Buffer.allocUnsafe(1024 * 1024);
for (let at = 0, state = 1; at < noise.length; at += 4) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  noise.writeUInt32BE(state, at);
}

/** Call and index stand in front. */
function message(call: number, index: number): Buffer {
  const bytes = sizes[(call * 7 + index * 5) % sizes.length] as number;
  const from = (call * 104_729 + index * 7_919) % (noise.length - bytes);
  const copy = Buffer.from(noise.subarray(from, from + bytes));
  copy.writeUInt32BE(call, 0);
  copy.writeUInt32BE(index, 4);
  return copy;
}

/** The index of a message that is what it was. */
function checked(bytes: Buffer, call = bytes.readUInt32BE(0)): number {
  const index = bytes.readUInt32BE(4);
  assert.ok(bytes.equals(message(call, index)), `message ${index} of call ${call} was changed (${bytes.length} bytes)`);
  return index;
}

const callsMax = 6;
const messagesMax = 100;

/** One call that says all of its messages and reads them back, slowly now and then. */
async function converse(client: grpc.Client, id: number): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = methods.echo;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new grpc.Metadata());
  let came = 0;
  call.on("error", () => undefined); // The status says it.
  call.on("data", (bytes: Buffer) => {
    assert.equal(checked(bytes, id), came);
    came += 1;
    if ((came + id) % 13 > 0) return;
    call.pause();
    setTimeout(() => call.resume(), id);
  });
  const status = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
  const ended = new Promise((resolve) => call.once("end", resolve));
  for (let index = 0; index < messagesMax; index += 1) {
    if (!call.write(message(id, index))) await new Promise((resolve) => call.once("drain", resolve));
  }
  call.end();
  const { code, details } = await status;
  // The status does not wait for a reader that pauses.
  if (code === grpc.status.OK) await ended;
  assert.deepEqual([code, came], [grpc.status.OK, messagesMax], details);
}

/** What every process has recorded of the snapshot, each message compared with what was sent. Returns their number. */
function checkRecorded(processes: readonly TestProcess[], ref: SnapshotRef): number {
  const evidence = evidenceOf(processes, ref);
  assert.deepEqual(checkCertificate(evidence).violations, []);
  let messages = 0;
  for (const channel of evidence) {
    const receiver = processes.find(({ id }) => id === channel.to) as TestProcess;
    for (const whole of wholeMessages(recordedFrames(receiver, ref, channel.id)).values()) {
      for (const one of whole) {
        checked(one.subarray(5));
        messages += 1;
      }
    }
  }
  return messages;
}

describe("messages of all sizes over links that break, with snapshots all the while", () => {
  it("arrive as they were sent, and stand so in the channel states", { timeout: 90_000 }, async () => {
    const server = await startGrpcServer();
    const processes: TestProcess[] = [];
    for (const [id, applicationPort] of [
      ["sizes/near", 0],
      ["sizes/far", server.port],
    ] as const) {
      const onCapture = (self: TestProcess, ref: SnapshotRef) => {
        // Frames pile up at the gate meanwhile, and some are cut in the middle of a read.
        setTimeout(() => {
          if (self.dataPlane.driver.isRunning(ref)) self.dataPlane.driver.captured(ref);
        }, 5);
      };
      const meshLimits = { retryMinMs: 1, retryMaxMs: 10 };
      const process = await startProcess({ id, applicationPort, meshLimits, onCapture });
      processes.push(process);
      opened.push(() => process.stop());
    }
    const [near, far] = processes as [TestProcess, TestProcess];
    const proxy = await startTcpProxy(Number(far.linkAddress.split(":")[1]));
    introduce(processes, { [far.id]: proxy.address });
    const client = dialThrough(near, authorityOf(far.id));
    opened.push(
      () => server.stop(),
      () => proxy.close(),
      () => client.close(),
    );
    let open = callsMax;
    const calls = Array.from({ length: callsMax }, async (_, id) => {
      await converse(client, id);
      open -= 1;
    });
    let recorded = 0;
    const snapshots = (async () => {
      for (let i = 0; open > 0 && i < 200; i += 1) {
        const ref = { snapshotId: `s${i}`, attempt: 1 };
        (i % 2 === 0 ? near : far).dataPlane.driver.start(ref, "start");
        if (i % 3 === 1) proxy.cut();
        await until(`${ref.snapshotId} is complete`, () => isComplete(processes, ref));
        recorded += checkRecorded(processes, ref);
        for (const { dataPlane } of processes) dataPlane.driver.ended(ref);
      }
    })();
    await Promise.all([...calls, snapshots]);
    assert.ok(recorded > 10, `only ${recorded} messages were recorded`);
    assert.ok(proxy.accepted > 2, `${proxy.accepted} connections`);
    for (const { log, reports, recorder } of processes) {
      assert.deepEqual(
        log.filter(({ level }) => level === "error"),
        [],
      );
      assert.deepEqual([reports.failures, recorder.totalBytes], [[], 0]);
    }
  });
});
