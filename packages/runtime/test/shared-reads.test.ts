import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { connectShared, isShared, ownBytes, receive } from "../src/index.ts";

/** A server's socket and what dials it, both ended afterwards. */
async function withPair(
  dial: (port: number) => Socket,
  test: (dialled: Socket, accepted: Socket) => Promise<void>,
): Promise<void> {
  const server = createServer({ noDelay: true, allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const dialled = dial((server.address() as AddressInfo).port);
  const [accepted] = (await once(server, "connection")) as [Socket];
  try {
    await test(dialled, accepted);
  } finally {
    dialled.destroy();
    accepted.destroy();
    server.close();
  }
}

/** Collects copies, and says whether all that came was shared. */
function collect(socket: Socket | PassThrough) {
  const seen = { text: "", shared: 0, own: 0, views: [] as Buffer[] };
  receive(socket, (bytes) => {
    seen.text += bytes.toString();
    seen.views.push(bytes);
    seen[isShared(bytes) ? "shared" : "own"] += 1;
  });
  return seen;
}

describe("shared reads", () => {
  it("reads what dialled and accepted sockets bring into the same memory", async () => {
    await withPair(
      (port) => connectShared({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true }),
      async (dialled, accepted) => {
        const atDialled = collect(dialled);
        const atAccepted = collect(accepted);
        accepted.end("to the one that dialled");
        await once(dialled, "end");
        dialled.end("to the one that accepted");
        await once(accepted, "end");
        assert.equal(atDialled.text, "to the one that dialled");
        assert.equal(atAccepted.text, "to the one that accepted");
        assert.deepEqual([atDialled.own, atAccepted.own], [0, 0]);
        // What came first is not there any more: nobody may keep it.
        assert.equal(atDialled.views[0]?.includes("dialled"), false);
      },
    );
  });

  it("hands over what was given back to an accepted socket before what comes", async () => {
    await withPair(
      (port) => connect({ host: "127.0.0.1", port, noDelay: true }),
      async (dialled, accepted) => {
        dialled.write("first");
        await once(accepted, "readable");
        accepted.unshift(accepted.read());
        const seen = collect(accepted);
        dialled.end(", then");
        await once(accepted, "end");
        assert.equal(seen.text, "first, then");
        assert.deepEqual([seen.own, seen.shared], [1, 1]);
      },
    );
  });

  it("brings a receiver 1 MiB in order", async () => {
    await withPair(
      (port) => connectShared({ host: "127.0.0.1", port, noDelay: true }),
      async (dialled, accepted) => {
        const sent = Buffer.alloc(1024 * 1024);
        for (let i = 0; i < sent.length; i += 4) sent.writeUInt32BE(i, i);
        const came: Buffer[] = [];
        receive(dialled, (bytes) => came.push(Buffer.from(bytes)));
        accepted.end(sent);
        await once(dialled, "end");
        assert.ok(sent.equals(Buffer.concat(came)));
      },
    );
  });

  it("copies small pieces into memory of their length, however much else is copied meanwhile", async () => {
    await withPair(
      (port) => connectShared({ host: "127.0.0.1", port, noDelay: true }),
      async (dialled, accepted) => {
        const kept: Buffer[] = [];
        receive(dialled, (bytes) => kept.push(ownBytes(bytes.subarray(0, 10))));
        accepted.end("a small piece of what was read");
        await once(dialled, "end");
        assert.equal(kept[0]?.toString(), "a small pi");
        // Out of the pool of Node.js it would keep 64 KiB.
        assert.equal(kept[0]?.buffer.byteLength, 10);
      },
    );
  });

  it("takes other streams as they are", async () => {
    const stream = new PassThrough();
    const seen = collect(stream);
    stream.end("as it is");
    await once(stream, "end");
    assert.deepEqual([seen.text, seen.own, seen.shared], ["as it is", 1, 0]);
  });
});
