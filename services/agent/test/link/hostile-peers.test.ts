import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { methods, requestHeaders, startGrpcServer, until } from "@cutline/h2/testing";
import { Marker } from "@cutline/proto/link";
import * as grpc from "@grpc/grpc-js";
import { encodeFrameHeader, FrameFlag, FrameType, framePayloadBytesMax } from "../../src/dataplane/link/codec.ts";
import { encodeHeaders } from "../../src/dataplane/link/headers.ts";
import {
  authorityOf,
  dialThrough,
  directoryOf,
  introduce,
  startProcess,
  type TestProcess,
} from "../dataplane/processes.ts";
import { dialRaw, helloTo, linkRaw, type RawAgent, refusalOf } from "./raw-agent.ts";

const testTimeoutMs = 30_000;

interface House {
  /** The process under attack, whose application is a gRPC server. */
  readonly callee: TestProcess;
  /** A call of an honest peer that is open all the time; it must not notice anything. */
  readonly witness: grpc.ClientDuplexStream<Buffer, Buffer>;
  /** Sends a message on the witness call and waits for its echo. */
  check(): Promise<void>;
}

interface HouseOptions {
  readonly handshakeTimeoutMs?: number;
  onCapture?(process: TestProcess): void;
}

async function withHouse(test: (house: House) => Promise<void>, options: HouseOptions = {}): Promise<void> {
  const server = await startGrpcServer();
  const { handshakeTimeoutMs = 5_000, ...rest } = options;
  const meshLimits = { handshakeTimeoutMs };
  const callee = await startProcess({ id: "bank/callee", applicationPort: server.port, meshLimits, ...rest });
  const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
  introduce([caller, callee]);
  // The directory knows the attacker too, so that a broken connection of his may be resumed.
  const attacker = { id: "bank/raw", incarnation: "1", linkAddress: "127.0.0.1:1" };
  callee.dataPlane.mesh.setDirectory(directoryOf([caller, callee, attacker]));
  const client = dialThrough(caller, authorityOf(callee.id));
  const { path, requestSerialize, responseDeserialize } = methods.echo;
  const witness = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new grpc.Metadata());
  witness.on("error", () => {});
  let echoes = 0;
  let asked = 0;
  witness.on("data", () => {
    echoes += 1;
  });
  const check = async () => {
    asked += 1;
    witness.write(Buffer.from("still there?"));
    await until("the witness has its echo", () => echoes === asked);
  };
  try {
    await check();
    await test({ callee, witness, check });
    await check();
    const status = new Promise<grpc.StatusObject>((resolve) => witness.on("status", resolve));
    witness.end();
    assert.equal((await status).code, grpc.status.OK);
  } finally {
    client.close();
    await Promise.all([caller.stop(), callee.stop()]);
    server.stop();
  }
}

const openHeaders = encodeHeaders(
  requestHeaders.map((value) => (value === "/test.Service/Call" ? "/test.Service/Echo" : value)),
);

describe("handshake", () => {
  it("refuses another protocol version, and both versions are in the log", { timeout: testTimeoutMs }, async () => {
    await withHouse(async ({ callee }) => {
      const raw = dialRaw(callee.linkAddress);
      raw.send(FrameType.hello, 0, 0, helloTo(callee, { protocolVersion: 7 }));
      const { code, message } = await refusalOf(raw);
      assert.equal(code, "VERSION");
      assert.match(message, /bank\/callee speaks link protocol 1, bank\/raw speaks 7/);
      const line = callee.log.find(({ fields }) => fields.code === "VERSION");
      assert.deepEqual([line?.level, line?.fields.reason], ["warn", message]);
      await until("the connection has closed", raw.closed);
    });
  });

  for (const { name, changes, code } of [
    { name: "another process", changes: { peerProcessId: "bank/else" }, code: "IDENTITY" },
    { name: "an incarnation of before", changes: { peerIncarnation: "0" }, code: "INCARNATION" },
    { name: "a link that was given up", changes: { resume: true }, code: "UNKNOWN_LINK" },
  ]) {
    it(`refuses who looks for ${name}`, { timeout: testTimeoutMs }, async () => {
      await withHouse(async ({ callee }) => {
        const raw = dialRaw(callee.linkAddress);
        raw.send(FrameType.hello, 0, 0, helloTo(callee, changes));
        assert.equal((await refusalOf(raw)).code, code);
        assert.equal(callee.links().length, 1);
        raw.destroy();
      });
    });
  }

  it("refuses who claims somebody else's link", { timeout: testTimeoutMs }, async () => {
    await withHouse(async ({ callee }) => {
      const raw = dialRaw(callee.linkAddress);
      raw.send(FrameType.hello, 0, 0, helloTo(callee, { linkId: callee.links()[0]?.id ?? "", resume: true }));
      assert.equal((await refusalOf(raw)).code, "IDENTITY");
      raw.destroy();
    });
  });

  it("refuses a connection that comes behind a later one, and leaves that one alone", {
    timeout: testTimeoutMs,
  }, async () => {
    await withHouse(async ({ callee }) => {
      const later = await linkRaw(callee, { connection: 8 });
      const late = dialRaw(callee.linkAddress);
      late.send(FrameType.hello, 0, 0, helloTo(callee, { connection: 7, resume: true }));
      assert.equal((await refusalOf(late)).code, "STALE");
      assert.equal(callee.links().filter((link) => link.connected && link.peer.processId === "bank/raw").length, 1);
      assert.equal(later.closed(), false);
      later.destroy();
      late.destroy();
    });
  });

  it("gives a link up when its dialler says that it has", { timeout: testTimeoutMs }, async () => {
    await withHouse(async ({ callee }) => {
      const raw = await linkRaw(callee);
      raw.destroy();
      const goodbye = dialRaw(callee.linkAddress);
      goodbye.send(FrameType.hello, 0, 0, helloTo(callee, { resume: true, giveUp: true }));
      assert.equal((await refusalOf(goodbye)).code, "CLOSED");
      assert.deepEqual(
        callee.links().filter((link) => link.peer.processId === "bank/raw"),
        [],
      );
      goodbye.destroy();
    });
  });

  it("closes what says nothing, in time", { timeout: testTimeoutMs }, async () => {
    await withHouse(
      async ({ callee }) => {
        const raw = dialRaw(callee.linkAddress);
        await until("the connection has closed", raw.closed);
      },
      { handshakeTimeoutMs: 50 },
    );
  });

  it("does not keep what was refused, nor what it goes on sending", { timeout: testTimeoutMs }, async () => {
    await withHouse(
      async ({ callee }) => {
        const raw = dialRaw(callee.linkAddress);
        neverClose(raw);
        raw.send(FrameType.hello, 0, 0, helloTo(callee, { protocolVersion: 7 }));
        await refusalOf(raw);
        const ping = encodeFrameHeader(FrameType.ping, 0, 0, 0, framePayloadBytesMax);
        for (let i = 0; i < 8; i += 1) raw.write(Buffer.concat([ping, Buffer.alloc(framePayloadBytesMax)]));
        await until("writing to it fails", () => {
          raw.send(FrameType.ping, 0, 0);
          return raw.closed();
        });
      },
      { handshakeTimeoutMs: 100 },
    );
  });

  it("stops while others are shaking hands", { timeout: testTimeoutMs }, async () => {
    const callee = await startProcess({ id: "bank/callee", applicationPort: 0 });
    const silent = dialRaw(callee.linkAddress);
    const refused = dialRaw(callee.linkAddress);
    neverClose(refused);
    refused.send(FrameType.hello, 0, 0, helloTo(callee, { protocolVersion: 7 }));
    await refusalOf(refused);
    await callee.stop();
    silent.destroy();
    refused.destroy();
  });
});

function neverClose(raw: RawAgent): void {
  raw.socket.allowHalfOpen = true;
}

/** What a peer may do wrong on a link that is up. `gaveUp`: the link cannot go on, else only its connection closes. */
const offences: readonly { name: string; gaveUp: boolean; commit(raw: RawAgent): void }[] = [
  { name: "bytes that are no frame", gaveUp: false, commit: (raw) => raw.write(Buffer.alloc(64, 0xff)) },
  {
    name: "a frame above the limit",
    gaveUp: false,
    commit: (raw) => raw.write(encodeFrameHeader(FrameType.message, 0, 1, 1, framePayloadBytesMax + 1)),
  },
  { name: "an unknown type", gaveUp: false, commit: (raw) => raw.send(99, 1, 1) },
  { name: "a handshake frame behind the handshake", gaveUp: false, commit: (raw) => raw.send(FrameType.hello, 0, 0) },
  { name: "a gap in the numbers", gaveUp: false, commit: (raw) => raw.send(FrameType.open, 2, 1, openHeaders) },
  {
    name: "an acknowledgement of what was never sent",
    gaveUp: false,
    commit: (raw) => raw.send(FrameType.acknowledge, 99, 0),
  },
  {
    name: "a call id that is not its to give",
    gaveUp: true,
    commit: (raw) => raw.send(FrameType.open, 1, 2, openHeaders),
  },
  {
    name: "a garbled header block",
    gaveUp: true,
    commit: (raw) => raw.send(FrameType.open, 1, 1, Buffer.alloc(9, 0xee)),
  },
  {
    name: "a header block above the limit",
    gaveUp: true,
    commit: (raw) => raw.send(FrameType.open, 1, 1, encodeHeaders([":path", "/a.B/C", "x", "h".repeat(256 * 1024)])),
  },
  { name: "a garbled marker", gaveUp: true, commit: (raw) => raw.send(FrameType.marker, 1, 0, Buffer.alloc(9, 0xee)) },
  { name: "a marker of no snapshot", gaveUp: true, commit: (raw) => raw.send(FrameType.marker, 1, 0) },
  {
    name: "a call opened twice",
    gaveUp: true,
    commit(raw) {
      raw.send(FrameType.open, 1, 1, openHeaders);
      raw.send(FrameType.open, 2, 1, openHeaders);
    },
  },
  {
    name: "trailers from a caller",
    gaveUp: true,
    commit(raw) {
      raw.send(FrameType.open, 1, 1, openHeaders);
      raw.send(FrameType.trailers, 2, 1, Buffer.alloc(3, 0xee));
    },
  },
  {
    name: "more than its credit",
    gaveUp: true,
    commit(raw) {
      const headers = encodeHeaders(
        requestHeaders.map((value) => (value === "/test.Service/Call" ? "/test.Service/Unary" : value)),
      );
      raw.send(FrameType.open, 1, 1, headers);
      const prefix = Buffer.from([0, 3, 255, 255, 255]);
      for (let i = 0; i < 64; i += 1)
        raw.send(FrameType.message, 2 + i, 1, i === 0 ? prefix : Buffer.alloc(framePayloadBytesMax));
    },
  },
];

describe("a peer that breaks the protocol", () => {
  for (const { name, gaveUp, commit } of offences) {
    it(`${name}: its ${gaveUp ? "link is given up" : "connection closes"} and nothing else`, {
      timeout: testTimeoutMs,
    }, async () => {
      await withHouse(async ({ callee, check }) => {
        const raw = await linkRaw(callee);
        commit(raw);
        await until("the connection has closed", raw.closed);
        await check();
        const mine = callee.links().filter((link) => link.peer.processId === "bank/raw");
        assert.equal(mine.length, gaveUp ? 0 : 1);
        // Whatever it did, the next cut must still add up.
        callee.dataPlane.driver.start({ snapshotId: "after", attempt: 1 }, "start");
        assert.equal(callee.reports.cuts.length, 1);
        assert.deepEqual(callee.reports.failures, []);
        callee.dataPlane.driver.ended({ snapshotId: "after", attempt: 1 });
      });
    });
  }

  it("before the handshake: its connection closes and nothing else", { timeout: testTimeoutMs }, async () => {
    await withHouse(async ({ callee }) => {
      const beginnings = [
        Buffer.from("GET / HTTP/1.1\r\n\r\n"),
        Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), Buffer.alloc(64, 0x72)]),
        frame(FrameType.ping, 0, 0, Buffer.alloc(0)),
        frame(FrameType.hello, 0, 0, Buffer.alloc(9, 0xee)),
      ];
      for (const bytes of beginnings) {
        const raw = dialRaw(callee.linkAddress);
        raw.write(bytes);
        await until("the connection has closed", raw.closed);
      }
      assert.equal(callee.links().length, 1);
    });
  });

  it("behind a marker: cannot make the cut fail", { timeout: testTimeoutMs }, async () => {
    let waiting: (() => void) | undefined;
    const ref = { snapshotId: "s", attempt: 1 };
    await withHouse(
      async ({ callee }) => {
        const raw = await linkRaw(callee);
        raw.send(FrameType.open, 1, 1, openHeaders);
        raw.send(FrameType.marker, 2, 0, Marker.encode({ snapshotId: "s", attempt: 1, initiator: "" }).finish());
        raw.send(FrameType.open, 3, 3, openHeaders);
        await until(
          "the capture was asked for and the rest is there",
          () => waiting !== undefined && received(callee) === 3,
        );
        raw.send(FrameType.message, 4, 3, Buffer.from([0, 0, 0, 0, 0]), FrameFlag.endOfMessage);
        raw.send(FrameType.headers, 5, 3, Buffer.alloc(3, 0xee));
        await until("the connection has closed", raw.closed);
        waiting?.();
        // Its channel was lost before the cut: the snapshot may go on without it or fail, but never crash.
        assert.equal(callee.reports.cuts.length + callee.reports.failures.length > 0, true);
        callee.dataPlane.driver.ended(ref);
      },
      {
        onCapture(process) {
          waiting = () => process.dataPlane.driver.captured(ref);
        },
      },
    );
  });

  it("in the same read as its hello: the link does not look connected for ever", {
    timeout: testTimeoutMs,
  }, async () => {
    await withHouse(async ({ callee }) => {
      const raw = dialRaw(callee.linkAddress);
      const hello = helloTo(callee);
      const bad = Buffer.concat([encodeFrameHeader(FrameType.open, 0, 2, 1, openHeaders.length), openHeaders]);
      raw.write(Buffer.concat([encodeFrameHeader(FrameType.hello, 0, 0, 0, hello.length), hello, bad]));
      await until("the connection has closed", raw.closed);
      await until("the link is known to be broken", () =>
        callee.links().every((link) => link.connected === (link.peer.processId !== "bank/raw")),
      );
    });
  });
});

function received(process: TestProcess): number {
  return process.links().find((link) => link.peer.processId === "bank/raw")?.receivedThrough ?? 0;
}

/** Small and fast, and the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

describe("streams with flipped bytes", () => {
  it("200 of them: each costs at most its own link", { timeout: testTimeoutMs }, async () => {
    await withHouse(async ({ callee, check }) => {
      for (let seed = 1; seed <= 200; seed += 1) {
        const random = seeded(seed);
        const linkId = `fuzz-${seed}`;
        const raw = dialRaw(callee.linkAddress);
        const frames = [frame(FrameType.hello, 0, 0, helloTo(callee, { linkId, processId: `bank/fuzz-${seed}` }))];
        frames.push(frame(FrameType.open, 1, 1, openHeaders));
        frames.push(frame(FrameType.message, 2, 1, Buffer.from([0, 0, 0, 0, 2, 7, 7]), FrameFlag.endOfMessage));
        frames.push(
          frame(FrameType.credit, 300_000, 1, Buffer.alloc(0)),
          frame(FrameType.halfClose, 3, 1, Buffer.alloc(0)),
        );
        frames.push(frame(FrameType.acknowledge, 1, 0, Buffer.alloc(0)), frame(FrameType.reset, 4, 1, Buffer.alloc(4)));
        const stream = Buffer.concat(frames);
        const flips = 1 + Math.floor(random() * 4);
        for (let i = 0; i < flips; i += 1) {
          stream[Math.floor(random() * stream.length)] = Math.floor(random() * 256);
        }
        raw.write(stream);
        raw.socket.end();
        await until("the connection has closed", raw.closed);
      }
      await check();
      assert.equal(callee.dataPlane.driver.state.snapshots.size, callee.reports.captures.length);
    });
  });
});

function frame(type: FrameType, number: number, callId: number, payload: Uint8Array, flags = 0): Buffer {
  return Buffer.concat([encodeFrameHeader(type, flags, number, callId, payload.length), payload]);
}
