import assert from "node:assert/strict";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { describe, it } from "node:test";
import { rawAnswer, rawClient, rawServer, requestHeaders, until } from "@cutline/h2/testing";
import { checkCertificate } from "@cutline/protocol";
import { defaultCallLimits } from "../../src/dataplane/call/call-host.ts";
import { evidenceOf, isComplete } from "./global-state.ts";
import { authorityOf, introduce, type ProcessOptions, startProcess, type TestProcess } from "./processes.ts";

const testTimeoutMs = 60_000;
const { windowBytes, waitingBytesMax } = defaultCallLimits;
/** A read of a socket: what one call may get at once, over its limits. */
const readBytes = 64 * 1024;
const answerHeaders = [":status", "200", "content-type", "application/grpc"];

interface Pair {
  readonly caller: TestProcess;
  readonly callee: TestProcess;
  readonly served: ServerHttp2Stream[];
  open(path: string): ClientHttp2Stream;
}

async function withPair(
  options: Omit<ProcessOptions, "id" | "applicationPort">,
  test: (pair: Pair) => Promise<void>,
): Promise<void> {
  const served: ServerHttp2Stream[] = [];
  const far = await rawServer((stream, headers) => {
    if (headers.includes("/other")) {
      stream.resume();
      stream.respond([...answerHeaders, "grpc-status", "0"], { endStream: true, sendDate: false } as object);
      return;
    }
    stream.on("error", () => {});
    stream.respond([...answerHeaders], { waitForTrailers: true });
    served.push(stream);
  });
  const caller = await startProcess({ ...options, id: "bank/caller", applicationPort: 0 });
  const callee = await startProcess({ ...options, id: "bank/callee", applicationPort: far.port });
  introduce([caller, callee]);
  const near = rawClient(caller.outboundPort);
  const open = (path: string) => {
    const headers = requestHeaders.map((value, i) => {
      if (requestHeaders[i - 1] === ":authority") return authorityOf(callee.id);
      return requestHeaders[i - 1] === ":path" ? path : value;
    });
    const stream = near.request(headers, { endStream: false });
    stream.on("error", () => {});
    return stream;
  };
  try {
    await test({ caller, callee, served, open });
  } finally {
    near.destroy();
    await Promise.all([caller.stop(), callee.stop()]);
    await far.close();
  }
}

function message(bytes: number): Buffer {
  const framed = Buffer.alloc(bytes + 5, "m");
  framed[0] = 0;
  framed.writeUInt32BE(bytes, 1);
  return framed;
}

/** Keeps a stream's own buffer full with messages of this size. Counts what it got rid of. */
function flood(stream: ClientHttp2Stream | ServerHttp2Stream, bytes: number) {
  const one = message(bytes);
  const batch = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(16_384 / one.length)) }, () => one));
  let written = 0;
  let standing: "on" | "off" = "on";
  const pump = () => {
    while (standing === "on" && !stream.destroyed && stream.writableLength < 2 * batch.length) {
      written += batch.length;
      stream.write(batch, () => setImmediate(pump));
    }
  };
  pump();
  return {
    get goneBytes() {
      return written - stream.writableLength;
    },
    stop() {
      standing = "off";
    },
  };
}

type Flood = ReturnType<typeof flood>;

async function untilStopped(floods: readonly Flood[]): Promise<void> {
  let before = -1;
  let still = 0;
  await until("the writers are stopped", () => {
    const gone = floods.reduce((sum, { goneBytes }) => sum + goneBytes, 0);
    const isGoing = gone === before && floods.every(({ goneBytes }) => goneBytes > 0);
    still = isGoing ? still + 1 : 0;
    before = gone;
    return still >= 40;
  });
}

/** All that a process keeps for its calls: not taken by the link, not acknowledged, and not received. */
function countedBytes(process: TestProcess) {
  let [waiting, unacknowledged, kept] = [0, 0, 0];
  for (const link of process.links()) {
    unacknowledged += link.unacknowledgedBytes;
    kept += link.kept.bytes;
    for (const call of link.calls.values()) waiting += call.outbound.bytes;
  }
  return { waiting, unacknowledged, kept };
}

const readers = 16;
const sizes = [
  { name: "small messages, thousands of them", bytes: 100 },
  { name: "messages of 200 KiB", bytes: 200 * 1024 },
];

describe("readers that have stopped", () => {
  for (const toward of ["servers", "clients"] as const) {
    for (const { name, bytes } of sizes) {
      it(`${readers} ${toward} with ${name}: bounded everywhere, and neither calls nor markers wait`, {
        timeout: testTimeoutMs,
      }, async () => {
        await withPair({}, async ({ caller, callee, served, open }) => {
          const rssBefore = process.memoryUsage.rss();
          const calls = Array.from({ length: readers }, () => open("/slow"));
          for (const call of calls) call.write(message(1));
          await until("all are being served", () => served.length === readers);
          const writers = toward === "servers" ? calls : served;
          const floods = writers.map((stream) => flood(stream, bytes));
          await untilStopped(floods);

          const [sender, receiver] = toward === "servers" ? [caller, callee] : [callee, caller];
          const perCallMax = waitingBytesMax + readBytes;
          for (const link of sender.links()) {
            for (const call of link.calls.values()) {
              assert.ok(call.outbound.bytes <= perCallMax, `${call.outbound.bytes} bytes wait on one call`);
            }
          }
          for (const link of receiver.links()) {
            for (const call of link.calls.values()) {
              assert.ok(call.inbound.bytes <= windowBytes + readBytes, `${call.inbound.bytes} bytes kept on one call`);
            }
          }
          const [sent, got] = [countedBytes(sender), countedBytes(receiver)];
          assert.ok(sent.waiting <= readers * perCallMax, `${sent.waiting} bytes wait`);
          assert.ok(got.kept <= readers * (windowBytes + readBytes), `${got.kept} bytes are kept`);
          assert.equal(receiver.dataPlane.memory.bytes >= got.kept, true, "the agent's count has all of them");
          // Coarse: the counted bytes, twice, and what buffers and this program itself need.
          const grown = process.memoryUsage.rss() - rssBefore;
          assert.ok(grown < 700 * 1024 * 1024, `the process has grown by ${grown} bytes`);

          for (let i = 0; i < 20; i += 1) {
            const other = open("/other");
            other.end(message(1_000));
            assert.ok((await rawAnswer(other)).headers.includes("grpc-status"));
          }
          const ref = { snapshotId: "while-they-stand", attempt: 1 };
          for (const each of [caller, callee]) each.dataPlane.driver.start(ref, "start");
          await until("the snapshot is complete", () => isComplete([caller, callee], ref));
          assert.equal(checkCertificate(evidenceOf([caller, callee], ref)).verdict, "valid");

          for (const each of floods) each.stop();
          for (const stream of toward === "servers" ? served : calls) stream.resume();
          await until("everything flows off", () => {
            const left = countedBytes(receiver);
            return left.kept === 0 && countedBytes(sender).waiting === 0;
          });
        });
      });
    }
  }
});

describe("memory for all links of an agent together", () => {
  const inboundBytesMax = 2 * 1024 * 1024;

  it("beyond its limit senders get no credit and new calls are refused; with room, all goes on", {
    timeout: testTimeoutMs,
  }, async () => {
    await withPair({ linkLimits: { inboundBytesMax } }, async ({ callee, served, open }) => {
      const calls = Array.from({ length: 8 }, () => open("/slow"));
      for (const call of calls) call.write(message(1));
      await until("all are being served", () => served.length === calls.length);
      const floods = calls.map((call) => flood(call, 1_000));
      await until("the memory is full", () => callee.dataPlane.memory.isFull);
      const refused = open("/other");
      refused.end(message(10));
      const { headers } = await rawAnswer(refused);
      assert.equal(headers[headers.indexOf("grpc-status") + 1], "8");
      assert.match(String(headers[headers.indexOf("grpc-message") + 1]), /bytes from other processes wait/);
      assert.ok(callee.dataPlane.memory.bytes <= 2 * inboundBytesMax + 1024 * 1024);

      for (const each of floods) each.stop();
      for (const stream of served) stream.resume();
      let taken = "";
      const deadlineMs = performance.now() + testTimeoutMs / 2;
      while (taken !== "0" && performance.now() < deadlineMs) {
        const other = open("/other");
        other.end(message(10));
        const answer = await rawAnswer(other);
        taken = String(answer.headers[answer.headers.indexOf("grpc-status") + 1]);
      }
      assert.equal(taken, "0", "there is room, and no new call is taken in");
      const more = calls.map((call) => flood(call, 1_000));
      const before = more.map(({ goneBytes }) => goneBytes);
      await until("every call goes on", () =>
        more.every(({ goneBytes }, i) => goneBytes > (before[i] ?? 0) + 2 * windowBytes),
      );
      for (const each of more) each.stop();
    });
  });

  it("beyond twice its limit, the calls that bring more end RESOURCE_EXHAUSTED, and the others go on", {
    timeout: testTimeoutMs,
  }, async () => {
    await withPair({ linkLimits: { inboundBytesMax } }, async ({ callee, served, open }) => {
      const calls = Array.from({ length: 60 }, () => open("/slow"));
      for (const call of calls) call.write(message(1));
      await until("all are being served", () => served.length === calls.length);
      const ended: string[] = [];
      for (const call of calls) call.on("trailers", (trailers) => ended.push(String(trailers["grpc-status"])));
      const floods = calls.map((call) => flood(call, 1_000));
      const memory = callee.dataPlane.memory;
      await until("some calls have ended", () => {
        const slackBytes = 1024 * 1024;
        assert.ok(memory.bytes <= 2 * inboundBytesMax + slackBytes, `${memory.bytes} bytes are kept`);
        return ended.length > 0;
      });
      assert.ok(
        ended.every((status) => status === "8"),
        ended.join(),
      );
      for (const each of floods) each.stop();
      for (const stream of served) stream.resume();
      await until("it is empty", () => countedBytes(callee).kept === 0);
      const other = open("/other");
      other.end(message(10));
      assert.ok((await rawAnswer(other)).headers.includes("grpc-status"));
    });
  });
});
