import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { connectShared, isShared, receive } from "../src/index.ts";
import { poisonReleasedMemory } from "../src/testing/index.ts";

poisonReleasedMemory();

let server: Server;
const opened: Socket[] = [];
before(async () => {
  server = createServer({ noDelay: true, allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => {
  for (const socket of opened) socket.destroy();
  server.close();
});

async function pair(dial: "shared" | "plain"): Promise<{ dialled: Socket; accepted: Socket }> {
  const options = {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    noDelay: true,
    allowHalfOpen: true,
  };
  const dialled = dial === "shared" ? connectShared(options) : connect(options);
  const [accepted] = (await once(server, "connection")) as [Socket];
  opened.push(dialled, accepted);
  return { dialled, accepted };
}

/** Byte `at` of what socket `id` brings: equal nowhere near the same place of another. */
const byteAt = (id: number, at: number) => (at + (at >>> 8) * 7 + id * 59) & 0xff;

function stretch(id: number, from: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  for (let i = 0; i < bytes; i += 1) buffer[i] = byteAt(id, from + i);
  return buffer;
}

function check(id: number, from: number, bytes: Buffer): void {
  for (let i = 0; i < bytes.length; i += 1) {
    if (bytes[i] !== byteAt(id, from + i)) assert.fail(`socket ${id}: byte ${from + i} is ${bytes[i]}`);
  }
}

const sizes = [1, 5, 9, 4_096, 16_393, 32_767, 32_768, 65_535, 65_536, 65_537, 200_000];

/** A generator of its own for each seed, so that a failure can be seen again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

async function sendAll(socket: Socket, id: number, totalBytes: number): Promise<void> {
  const next = random(id + 1);
  for (let sent = 0; sent < totalBytes; ) {
    const bytes = Math.min(totalBytes - sent, sizes[next(sizes.length)] as number);
    const taken = socket.write(stretch(id, sent, bytes));
    sent += bytes;
    if (!taken) await once(socket, "drain");
    else if (next(3) === 0) await new Promise(setImmediate);
  }
  socket.end();
}

describe("sockets that share the memory they read into", () => {
  it("bring each its own bytes, whole and in order, whatever the others do, pauses included", {
    timeout: 60_000,
  }, async () => {
    const totalBytes = 1_500_000;
    const pairs: Awaited<ReturnType<typeof pair>>[] = [];
    for (let i = 0; i < 8; i += 1) pairs.push(await pair(i % 2 === 0 ? "shared" : "plain"));
    const ends = pairs.flatMap(({ dialled, accepted }, i) => [
      { socket: dialled, peer: accepted, id: 2 * i },
      { socket: accepted, peer: dialled, id: 2 * i + 1 },
    ]);
    let shared = 0;
    await Promise.all(
      ends.map(async ({ socket, peer, id }) => {
        const next = random(1_000 + id);
        let [came, paused] = [0, false];
        receive(socket, (bytes) => {
          assert.equal(paused, false, `socket ${id} is paused and goes on`);
          check(id, came, bytes);
          came += bytes.length;
          if (isShared(bytes)) shared += 1;
          if (next(10) > 0) return;
          paused = true;
          socket.pause();
          setTimeout(() => {
            paused = false;
            socket.resume();
          }, next(3));
        });
        const ended = once(socket, "end");
        await sendAll(peer, id, totalBytes);
        await ended;
        assert.equal(came, totalBytes);
      }),
    );
    assert.ok(shared > 100);
  });

  it("bring what had come before they were adopted first, however much of it there is", async () => {
    for (const bytes of [1, 65_535, 65_536, 65_537, 1_000_000]) {
      const { dialled, accepted } = await pair("plain");
      const sent = sendAll(dialled, 3, bytes + 300_000);
      // As the front door does: looks at the beginning and gives it back.
      await once(accepted, "readable");
      accepted.unshift(accepted.read());
      if (bytes > 65_537) await new Promise((resolve) => setTimeout(resolve, 5));
      let came = 0;
      receive(accepted, (chunk) => {
        check(3, came, chunk);
        came += chunk.length;
      });
      accepted.resume();
      await once(accepted, "end");
      await sent;
      assert.equal(came, bytes + 300_000);
    }
  });

  it("bring nothing more when they are destroyed inside of their receiver", async () => {
    const { dialled, accepted } = await pair("shared");
    let reads = 0;
    receive(dialled, () => {
      reads += 1;
      dialled.destroy();
    });
    accepted.on("error", () => undefined); // The other side resets it.
    accepted.write(Buffer.alloc(500_000));
    await once(dialled, "close");
    assert.equal(reads, 1);
  });

  it("go on with memory of their own where Node.js does not have what it takes", async () => {
    const lacks: ((socket: Socket) => void)[] = [
      (socket) =>
        Object.defineProperty((socket as unknown as { _handle: object })._handle, "useUserBuffer", {
          value: undefined,
        }),
      ...["kBuffer", "kBufferCb", "kBufferGen"].map((name) => (socket: Socket) => {
        const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === name);
        delete (socket as unknown as Record<symbol, unknown>)[symbol as symbol];
      }),
    ];
    for (const lack of lacks) {
      const { dialled, accepted } = await pair("plain");
      lack(accepted);
      let [came, shared] = [0, 0];
      const kept: Buffer[] = [];
      receive(accepted, (chunk) => {
        kept.push(chunk);
        came += chunk.length;
        if (isShared(chunk)) shared += 1;
      });
      await Promise.all([once(accepted, "end"), sendAll(dialled, 7, 300_000)]);
      assert.deepEqual([came, shared], [300_000, 0]);
      check(7, 0, Buffer.concat(kept));
    }
  });
});
