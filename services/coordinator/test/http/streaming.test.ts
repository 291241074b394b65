import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { branchB } from "./support/bank.ts";
import { listen, problemOf, type Served, serve } from "./support/server.ts";

const mebibyte = 1024 * 1024;
const chunkBytes = 64 * 1024;
const key = { snapshotId: "01JBANK", attempt: 2, kind: "local", owner: branchB } as const;

/** Gives branch B a state that is made while it is read, and is never in memory as a whole. */
function putLargeState({ parts, snapshot }: Served, sizeBytes: number): void {
  async function* read() {
    for (let at = 0; at < sizeBytes; at += chunkBytes) {
      yield Buffer.alloc(chunkBytes, at / chunkBytes);
    }
  }
  const hash = createHash("sha256");
  for (let at = 0; at < sizeBytes; at += chunkBytes) {
    hash.update(Buffer.alloc(chunkBytes, at / chunkBytes));
  }
  const info = { sizeBytes, sha256: hash.digest("hex"), contentType: "application/octet-stream" };
  const process = snapshot.processes[1];
  assert.ok(process);
  process.contentType = info.contentType;
  process.stateBytes = sizeBytes;
  process.stateSha256 = info.sha256;
  parts.putStream(key, info, read);
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is in use, without the garbage that waits to be collected. */
function liveBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function open(port: number, path: string): Promise<IncomingMessage> {
  const [response] = (await once(get({ host: "127.0.0.1", port, path, agent: false }), "response")) as [
    IncomingMessage,
  ];
  return response;
}

/** Whether the whole body came, by the rules of HTTP. */
async function readToEnd(response: IncomingMessage): Promise<{ complete: boolean; bytes: number }> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ECONNRESET");
  }
  return { complete: response.complete, bytes };
}

describe("streaming a state", () => {
  it("goes at the reader's pace and in constant memory", async (t) => {
    const served = serve(t);
    const sizeBytes = 96 * mebibyte;
    putLargeState(served, sizeBytes);
    const port = await listen(served.app);
    const response = await open(port, "/v1/snapshots/01JBANK/state");
    const before = liveBytes();
    let received = 0;
    let aheadMax = 0;
    let heldMax = 0;
    let measureAt = 0;
    for await (const chunk of response) {
      received += (chunk as Buffer).length;
      // A server that does not wait for its reader would run far ahead in these turns of the loop.
      for (let turn = 0; turn < 4; turn += 1) {
        await nextTurn();
      }
      aheadMax = Math.max(aheadMax, served.parts.readBytes - (received * 3) / 4);
      if (received >= measureAt) {
        measureAt += 8 * mebibyte;
        heldMax = Math.max(heldMax, liveBytes() - before);
      }
    }
    assert.ok(response.complete);
    assert.ok(received > (sizeBytes * 4) / 3);
    assert.ok(aheadMax < 16 * mebibyte, `the server ran ${Math.round(aheadMax / mebibyte)} MiB ahead`);
    assert.ok(heldMax < 64 * mebibyte, `memory grew by ${Math.round(heldMax / mebibyte)} MiB`);
  });

  it("stops reading the store when its reader leaves, and frees the place", async (t) => {
    const served = serve(t, { limits: { stateReadsMax: 1 } });
    putLargeState(served, 64 * mebibyte);
    const port = await listen(served.app);
    const response = await open(port, "/v1/snapshots/01JBANK/state");
    await once(response, "readable");
    const second = await served.app.inject("/v1/snapshots/01JBANK/state");
    problemOf(second, 503, "TooManyReads");
    assert.equal(second.headers["retry-after"], "2");
    response.destroy();
    const url = "/v1/snapshots/01JBANK/channels/link1:1";
    while ((await served.app.inject(url)).statusCode === 503) {
      await nextTurn();
    }
    assert.ok(served.parts.readBytes < 32 * mebibyte);
  });

  for (const [what, path] of [
    ["the whole state", "/v1/snapshots/01JBANK/state"],
    ["one local state", "/v1/snapshots/01JBANK/processes/bank%2Fbranch-b/state"],
  ] as const) {
    it(`tears the connection when ${what} turns out to be corrupt`, async (t) => {
      const served = serve(t);
      const sizeBytes = 4 * mebibyte;
      putLargeState(served, sizeBytes);
      served.parts.spoil(key, async function* () {
        for (let at = 0; at < sizeBytes; at += chunkBytes) {
          // One bit, in the very last chunk.
          yield Buffer.alloc(chunkBytes, at / chunkBytes + (at === sizeBytes - chunkBytes ? 1 : 0));
        }
      });
      const port = await listen(served.app);
      const response = await open(port, path);
      assert.equal(response.statusCode, 200);
      const { complete, bytes } = await readToEnd(response);
      assert.equal(complete, false);
      assert.ok(bytes > mebibyte);
    });
  }

  it("tears the connection and logs it when the store fails in the middle", async (t) => {
    const lines: string[] = [];
    const log = (_fields: unknown, message: string) => void lines.push(message);
    const logger = { trace: log, debug: () => {}, info: log, warn: log, error: log, child: () => logger };
    const served = serve(t, { logger });
    putLargeState(served, 4 * mebibyte);
    served.parts.spoil(key, async function* () {
      for (let sent = 0; sent < 20; sent += 1) {
        yield Buffer.alloc(chunkBytes, sent);
      }
      throw new Error("the disk is gone");
    });
    const port = await listen(served.app);
    const { complete } = await readToEnd(await open(port, "/v1/snapshots/01JBANK/state"));
    assert.equal(complete, false);
    assert.deepEqual(lines, ["audit", "state cannot be read, its answer is torn"]);
  });

  it("is cut when its reader has stopped for idleTimeoutMs", async (t) => {
    const served = serve(t, { limits: { idleTimeoutMs: 1_000 } });
    putLargeState(served, 64 * mebibyte);
    const port = await listen(served.app);
    const response = await open(port, "/v1/snapshots/01JBANK/state");
    await once(response, "readable");
    const connections = () =>
      new Promise<number>((resolve, reject) =>
        served.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    while ((await connections()) > 0) {
      await nextTurn();
    }
    response.on("error", () => {});
    response.destroy();
    assert.ok(served.parts.readBytes < 64 * mebibyte);
  });
});
