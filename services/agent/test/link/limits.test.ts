import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { rawAnswer, rawClient, requestHeaders, until } from "@cutline/h2/testing";
import { LinkWelcome } from "@cutline/proto/link";
import { encodeFrameHeader, FrameDecoder, FrameType, frameHeaderBytes } from "../../src/dataplane/link/codec.ts";
import { authorityOf, directoryOf, introduce, startProcess, type TestProcess } from "../dataplane/processes.ts";
import type { SeenFrame } from "./raw-agent.ts";

const testTimeoutMs = 30_000;

interface RawAcceptor {
  readonly id: string;
  readonly incarnation: string;
  readonly linkAddress: string;
  readonly frames: SeenFrame[];
  /** Payload bytes that came in numbered frames. */
  bytes(): number;
  send(type: FrameType, number: number, callId: number, payload?: Uint8Array): void;
  close(): Promise<void>;
}

/** An agent that welcomes a link and then says only what the test wants. */
async function acceptRaw(): Promise<RawAcceptor> {
  const frames: SeenFrame[] = [];
  const sockets: Socket[] = [];
  const identity = { id: "bank/raw", incarnation: "1" };
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    const decoder = new FrameDecoder({
      onFrame(type, flags, number, callId, payload) {
        frames.push({ type, flags, number, callId, payload });
        if (type !== FrameType.hello) return;
        const welcome = {
          protocolVersion: 1,
          processId: identity.id,
          incarnation: identity.incarnation,
          receivedThrough: 0,
        };
        write(FrameType.welcome, 0, 0, LinkWelcome.encode(welcome).finish());
      },
    });
    socket.on("data", (chunk: Buffer) => decoder.feed(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const write = (type: FrameType, number: number, callId: number, payload: Uint8Array = Buffer.alloc(0)) => {
    sockets.at(-1)?.write(Buffer.concat([encodeFrameHeader(type, 0, number, callId, payload.length), payload]));
  };
  return {
    ...identity,
    linkAddress: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    frames,
    bytes: () =>
      frames.reduce(
        (sum, { type, payload }) => sum + (type < FrameType.hello ? frameHeaderBytes + payload.length : 0),
        0,
      ),
    send: write,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const toRaw = requestHeaders.map((value, i) =>
  requestHeaders[i - 1] === ":authority" ? authorityOf("bank/raw") : value,
);

async function withRaw(
  linkLimits: Parameters<typeof startProcess>[0]["linkLimits"],
  test: (caller: TestProcess, raw: RawAcceptor) => Promise<void>,
): Promise<void> {
  const raw = await acceptRaw();
  const caller = await startProcess({
    id: "bank/caller",
    applicationPort: 0,
    ...(linkLimits === undefined ? {} : { linkLimits }),
  });
  caller.dataPlane.mesh.setDirectory(directoryOf([caller, raw]));
  caller.dataPlane.directoryKnown();
  try {
    await test(caller, raw);
  } finally {
    await caller.stop();
    await raw.close();
  }
}

describe("limits of a link", () => {
  it("a peer that acknowledges nothing stops all calls at a bound, but no marker", {
    timeout: testTimeoutMs,
  }, async () => {
    const boundBytes = 512 * 1024;
    await withRaw({ unacknowledgedBytesMax: boundBytes }, async (caller, raw) => {
      const near = rawClient(caller.outboundPort);
      const callsMax = 8;
      for (let i = 0; i < callsMax; i += 1) {
        const stream = near.request([...toRaw], { endStream: false });
        stream.on("error", () => {});
        const piece = Buffer.alloc(16 * 1024);
        piece.writeUInt32BE(piece.length - 5, 1);
        for (let k = 0; k < 32; k += 1) stream.write(piece);
      }
      const opens = () => raw.frames.filter(({ type }) => type === FrameType.open);
      await until("all calls have come", () => opens().length === callsMax);
      for (const { callId } of opens()) raw.send(FrameType.credit, 2 ** 40, callId);
      // Each frame counts with what keeping it costs.
      const keptFrameBytes = 128;
      await until("the bound is reached", () => raw.bytes() + raw.frames.length * keptFrameBytes >= boundBytes);
      // What was asked for after the bound comes through when everything before it has come through.
      caller.dataPlane.driver.start({ snapshotId: "s", attempt: 1 }, "start");
      await until("the marker came", () => raw.frames.some(({ type }) => type === FrameType.marker));
      const oneFrameBytes = 64 * 1024;
      assert.ok(raw.bytes() < boundBytes + oneFrameBytes, `${raw.bytes()} bytes came`);
      const marker = raw.frames.findIndex(({ type }) => type === FrameType.marker);
      raw.send(FrameType.acknowledge, raw.frames[marker]?.number ?? 0, 0);
      await until("traffic goes on", () => raw.bytes() >= boundBytes + 4 * oneFrameBytes);
      near.destroy();
    });
  });

  it("calls beyond the limit are answered RESOURCE_EXHAUSTED", { timeout: testTimeoutMs }, async () => {
    await withRaw({ openCallsMax: 3 }, async (caller, raw) => {
      const near = rawClient(caller.outboundPort);
      const held = Array.from({ length: 3 }, () => near.request([...toRaw], { endStream: false }));
      for (const stream of held) stream.on("error", () => {});
      await until("three calls have come", () => raw.frames.filter(({ type }) => type === FrameType.open).length === 3);
      const refused = await rawAnswer(near.request([...toRaw], { endStream: false }));
      assert.equal(refused.headers[refused.headers.indexOf("grpc-status") + 1], "8");
      held[0]?.close(8);
      await until("the reset came", () => raw.frames.some(({ type }) => type === FrameType.reset));
      const again = near.request([...toRaw], { endStream: false });
      again.on("error", () => {});
      await until("there is room again", () => raw.frames.filter(({ type }) => type === FrameType.open).length === 4);
      near.destroy();
    });
  });

  it("a peer that is silent for three pings loses its connection, not its link", {
    timeout: testTimeoutMs,
  }, async () => {
    const raw = await acceptRaw();
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0, meshLimits: { pingIntervalMs: 20 } });
    caller.dataPlane.mesh.setDirectory(directoryOf([caller, raw]));
    const link = caller.dataPlane.mesh.linkTo(raw.id);
    // The last bytes of a connection that is given up may never be read, so a ping of a later one will do.
    const count = (kind: number) => raw.frames.filter(({ type }) => type === kind).length;
    await until("it has been dialled again", () => count(FrameType.hello) >= 2 && count(FrameType.ping) >= 1);
    assert.equal(link?.dead, false);
    await caller.stop();
    await raw.close();
  });
});

describe("links that one side has given up", () => {
  it("end at the other side at once", { timeout: testTimeoutMs }, async () => {
    const one = await startProcess({ id: "bank/one", applicationPort: 0 });
    const other = await startProcess({ id: "bank/other", applicationPort: 0 });
    introduce([one, other]);
    for (const [giving, kept] of [[one, other] as const, [other, one] as const]) {
      const link = one.dataPlane.mesh.linkTo(other.id);
      await until("the link is up", () => link?.connected === true && other.links().length === 1);
      const mine = giving.links()[0];
      if (mine !== undefined) giving.dataPlane.driver.closeLink(mine, "for the test");
      await until("the other side has given it up too", () => kept.links().length === 0);
    }
    await Promise.all([one.stop(), other.stop()]);
  });

  it("end at the other side even when given up while they were being dialled", { timeout: testTimeoutMs }, async () => {
    const one = await startProcess({ id: "bank/one", applicationPort: 0 });
    const other = await startProcess({ id: "bank/other", applicationPort: 0 });
    introduce([one, other]);
    const link = one.dataPlane.mesh.linkTo(other.id);
    await until("the other side has it", () => {
      if (link !== undefined && !link.dead) one.dataPlane.driver.closeLink(link, "for the test");
      return other.log.some(({ message }) => message === "link connected");
    });
    await until("the other side has given it up too", () => other.links().length === 0);
    await Promise.all([one.stop(), other.stop()]);
  });
});
