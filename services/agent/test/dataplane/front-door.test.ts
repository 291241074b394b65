import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Http2Client, Http2Server } from "@cutline/h2";
import { createLeanClient, createLeanServer } from "@cutline/h2";
import {
  type GrpcServer,
  methods,
  passThrough,
  rawAnswer,
  rawServer,
  requestHeaders,
  startGrpcServer,
  until,
} from "@cutline/h2/testing";
import { silentLogger } from "@cutline/runtime";
import * as grpc from "@grpc/grpc-js";
import type { ConnectTarget } from "../../src/dataplane/connect-request.ts";
import {
  createFrontDoor,
  type FrontDoor,
  type FrontDoorLimits,
  type TunnelDecision,
} from "../../src/dataplane/front-door.ts";

interface House {
  readonly port: number;
  readonly door: FrontDoor;
  readonly http2Server: Http2Server;
  readonly targets: (string | undefined)[];
  readonly tunnels: string[];
  readonly closed: () => number;
}

interface HouseOptions {
  readonly limits?: Partial<FrontDoorLimits>;
  readonly client?: Http2Client;
  onTunnel?(target: ConnectTarget): TunnelDecision;
}

async function withDoor(options: HouseOptions, test: (house: House) => Promise<void>): Promise<void> {
  const http2Server = createLeanServer();
  const targets: (string | undefined)[] = [];
  const tunnels: string[] = [];
  let closed = 0;
  const door = createFrontDoor({
    http2Server,
    logger: silentLogger,
    limits: options.limits ?? {},
    onConnection(target) {
      targets.push(target?.authority);
      const { client } = options;
      return {
        onCall(stream, headers, endStream) {
          if (client !== undefined) return passThrough(client).onCall(stream, headers, endStream);
          stream.respond([":status", "200"], true);
          return { onHeaders() {}, onData() {}, onTrailers() {}, onEnd() {}, onReset() {}, onDrain() {} };
        },
        onClose() {
          closed += 1;
        },
      };
    },
    onTunnel(target) {
      tunnels.push(target.authority);
      return options.onTunnel?.(target) ?? { outcome: "refused", reason: "no tunnels here" };
    },
  });
  const port = await door.listen("127.0.0.1", 0);
  try {
    await test({ port, door, http2Server, targets, tunnels, closed: () => closed });
  } finally {
    await Promise.all([http2Server.close(0), door.close(0)]);
  }
}

/** A socket and all that came by it. */
function dial(port: number): { socket: Socket; got: () => string; closed: Promise<string> } {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  let got = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    got += chunk;
  });
  socket.on("error", () => {});
  socket.on("end", () => socket.end());
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(got)));
  return { socket, got: () => got, closed };
}

async function listenTcp(onSocket: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    opened.push(() => socket.destroy());
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => server.close());
  return { port: (server.address() as { port: number }).port, server };
}

/** What would keep a failed test's process running. */
const opened: (() => void)[] = [];
after(() => {
  for (const close of opened) close();
});

const established = "HTTP/1.1 200 Connection established\r\n\r\n";
const connectHead = "CONNECT bank-0.bank:50051 HTTP/1.1\r\nHost: bank-0.bank:50051\r\n\r\n";
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const emptySettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const settingsAck = "\x00\x00\x00\x04\x01\x00\x00\x00\x00";

describe("front door: HTTP/2", () => {
  it("serves HTTP/2 that comes directly, without a target", async () => {
    await withDoor({}, async ({ port, targets, closed }) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      const answer = await rawAnswer(session.request([...requestHeaders], { endStream: true }));
      assert.deepEqual(answer.headers, [":status", "200"]);
      assert.deepEqual(targets, [undefined]);
      session.destroy();
      await until("the door's side has closed too", () => closed() === 1);
    });
  });

  it("serves HTTP/2 inside CONNECT, all in one segment", async () => {
    await withDoor({}, async ({ port, targets, closed }) => {
      const { socket, got } = dial(port);
      socket.write(connectHead + preface + emptySettings, "latin1");
      await until("our SETTINGS were acknowledged", () => got().includes(settingsAck));
      assert.ok(got().startsWith(established));
      assert.deepEqual(targets, ["bank-0.bank:50051"]);
      socket.end();
      await until("the door's side has closed too", () => closed() === 1);
    });
  });

  it("serves HTTP/2 inside CONNECT, byte by byte", async () => {
    await withDoor({}, async ({ port, targets }) => {
      const { socket, got } = dial(port);
      for (const byte of Buffer.from(connectHead + preface + emptySettings, "latin1")) {
        socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until("our SETTINGS were acknowledged", () => got().includes(settingsAck));
      assert.deepEqual(targets, ["bank-0.bank:50051"]);
      socket.destroy();
    });
  });

  it("closes at most the grace later, with HTTP/2 open", async () => {
    await withDoor({}, async ({ port, door, http2Server, targets }) => {
      const { socket, closed } = dial(port);
      socket.write(preface + emptySettings, "latin1");
      await until("it was taken in", () => targets.length === 1);
      await door.close(50);
      await http2Server.close(50);
      await closed;
    });
  });
});

describe("front door: gRPC through grpc_proxy", () => {
  let server: GrpcServer;
  before(async () => {
    server = await startGrpcServer();
  });
  after(() => server.stop());

  it("takes in a grpc-js client with its target", async () => {
    const far = createLeanClient({ host: "127.0.0.1", port: server.port });
    await withDoor({ client: far }, async ({ port, targets, tunnels }) => {
      process.env.grpc_proxy = `http://127.0.0.1:${port}`;
      const client = new grpc.Client("bank-1.bank.svc:50051", grpc.credentials.createInsecure(), {
        "grpc.enable_channelz": 0,
        "grpc.use_local_subchannel_pool": 1,
      });
      try {
        const { unary } = methods;
        const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
          client.makeUnaryRequest(
            unary.path,
            unary.requestSerialize,
            unary.responseDeserialize,
            Buffer.from("hi"),
            (error, value) => (error === null ? resolve(value) : reject(error)),
          );
        });
        assert.equal(answer?.toString(), "hi");
        assert.deepEqual([targets, tunnels], [["bank-1.bank.svc:50051"], []]);
      } finally {
        delete process.env.grpc_proxy;
        client.close();
        await far.close(0);
      }
    });
  });
});

describe("front door: tunnels", () => {
  const hello = "\x16\x03\x01\x00\x05hello";

  it("carries anything else both ways, with half-closes", async () => {
    const echo = await listenTcp((socket) => {
      const chunks: Buffer[] = [];
      socket.on("data", (chunk) => chunks.push(chunk));
      socket.on("end", () => socket.end(Buffer.concat([Buffer.from("echo:"), ...chunks])));
    });
    let ended = 0;
    const onTunnel = (): TunnelDecision => ({
      outcome: "open",
      host: "127.0.0.1",
      port: echo.port,
      onClosed: () => {
        ended += 1;
      },
    });
    await withDoor({ onTunnel }, async ({ port, tunnels, targets }) => {
      const { socket, closed } = dial(port);
      socket.write(connectHead + hello, "latin1");
      socket.end(" and more");
      assert.equal(await closed, `${established}echo:${hello} and more`);
      assert.deepEqual([tunnels, targets], [["bank-0.bank:50051"], []]);
      await until("its end was told", () => ended === 1);
    });
    echo.server.close();
  });

  it("carries HTTP/2 over TLS and other bytes that only begin like HTTP/2", async () => {
    const sink = await listenTcp((socket) => socket.on("data", (chunk) => socket.write(chunk)));
    const onTunnel = (): TunnelDecision => ({ outcome: "open", host: "127.0.0.1", port: sink.port });
    await withDoor({ onTunnel }, async ({ port }) => {
      const { socket, got } = dial(port);
      socket.write(connectHead);
      await until("the tunnel is there", () => got() === established);
      socket.write("PRI * HT");
      await new Promise((resolve) => setImmediate(resolve));
      socket.write("ML");
      await until("all came back", () => got() === `${established}PRI * HTML`);
      socket.destroy();
    });
    sink.server.close();
  });

  it("holds the sender back while the target does not read", async () => {
    const sockets: Socket[] = [];
    // Without a reader little more than the kernel's buffers is taken.
    const sink = await listenTcp((socket) => sockets.push(socket));
    const onTunnel = (): TunnelDecision => ({ outcome: "open", host: "127.0.0.1", port: sink.port });
    await withDoor({ onTunnel }, async ({ port }) => {
      const { socket } = dial(port);
      const totalBytes = 64 * 1024 * 1024;
      socket.write(connectHead + hello, "latin1");
      socket.end(Buffer.alloc(totalBytes));
      await until("the target was reached", () => sockets.length === 1);
      let before = -1;
      await until("nothing moves any more", () => {
        const now = socket.bytesWritten - socket.writableLength;
        const still = now === before;
        before = now;
        return still;
      });
      assert.ok(socket.writableLength > 0, "the sender still holds some of it");
      let received = 0;
      sockets[0]?.on("data", (chunk) => {
        received += chunk.length;
      });
      await until("all arrived", () => received === totalBytes + hello.length);
      sockets[0]?.end();
    });
    sink.server.close();
  });

  it("passes a broken connection on to the other side, both ways", async () => {
    const sockets: Socket[] = [];
    const sink = await listenTcp((socket) => sockets.push(socket.resume()));
    const onTunnel = (): TunnelDecision => ({ outcome: "open", host: "127.0.0.1", port: sink.port });
    await withDoor({ onTunnel }, async ({ port }) => {
      const first = dial(port);
      first.socket.write(connectHead + hello, "latin1");
      await until("the target was reached", () => sockets.length === 1);
      sockets[0]?.resetAndDestroy();
      await first.closed;
      const second = dial(port);
      second.socket.write(connectHead + hello, "latin1");
      await until("the target was reached", () => sockets.length === 2);
      second.socket.resetAndDestroy();
      await until("the target's side is gone", () => sockets[1]?.destroyed === true);
    });
    sink.server.close();
  });

  it("closes when the target is refused, cannot be reached, or when nothing is said", async () => {
    const gone = await listenTcp(() => {});
    gone.server.close();
    const onTunnel = (target: ConnectTarget): TunnelDecision =>
      target.port === 50051
        ? { outcome: "refused", reason: "not this one" }
        : { outcome: "open", host: "127.0.0.1", port: gone.port };
    await withDoor({ onTunnel, limits: { handshakeTimeoutMs: 200 } }, async ({ port, tunnels }) => {
      const refused = dial(port);
      refused.socket.write(connectHead + hello, "latin1");
      const unreachable = dial(port);
      unreachable.socket.write(connectHead.replaceAll("50051", "50052") + hello, "latin1");
      const silent = dial(port);
      silent.socket.write(connectHead);
      await Promise.all([refused.closed, unreachable.closed, silent.closed]);
      assert.deepEqual(tunnels.toSorted(), ["bank-0.bank:50051", "bank-0.bank:50052"]);
    });
  });
});

describe("front door: everything else", () => {
  const refusals: [string, string, RegExp][] = [
    ["another method", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", /^HTTP\/1\.1 405 .*\r\nAllow: CONNECT\r\n/],
    ["a proxy request", "GET http://a/ HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 405 /],
    ["a target without port", "CONNECT bank HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["a target with user information", "CONNECT me@bank:1 HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["a port out of range", "CONNECT bank:65536 HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["another version", "CONNECT bank:1 HTTP/3.0\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["garbage", "\x00\x01\x02garbage", /^HTTP\/1\.1 400 /],
    ["a long head", `CONNECT bank:1 HTTP/1.1\r\nX: ${"y".repeat(9_000)}`, /^HTTP\/1\.1 431 /],
    ["a slow head", "CONNECT bank:1 HT", /^HTTP\/1\.1 408 /],
    ["TLS", "\x16\x03\x01\x02\x00", /^$/],
  ];
  for (const [name, bytes, answer] of refusals) {
    it(`answers ${name} and closes`, async () => {
      await withDoor({ limits: { handshakeTimeoutMs: 100 } }, async ({ port, targets, tunnels }) => {
        const { socket, closed } = dial(port);
        socket.write(bytes, "latin1");
        assert.match(await closed, answer);
        assert.deepEqual([targets, tunnels], [[], []]);
      });
    });
  }

  it("closes connections above its maximum", async () => {
    await withDoor({ limits: { connectionsMax: 1 } }, async ({ port, targets }) => {
      const first = dial(port);
      first.socket.write(preface + emptySettings, "latin1");
      await until("the first was taken in", () => targets.length === 1);
      await dial(port).closed;
      assert.equal(first.socket.destroyed, false);
      first.socket.destroy();
    });
  });

  it("opens several addresses at one port, of which those that are not this machine's are left out", async () => {
    const door = anybodysDoor();
    const port = await door.listen("127.0.0.1,203.0.113.77,127.0.0.2", 0);
    for (const host of ["127.0.0.1", "127.0.0.2"]) {
      const socket = connect(port, host);
      await once(socket, "connect");
      socket.destroy();
    }
    await door.close(0);
    await assert.rejects(anybodysDoor().listen("203.0.113.77,203.0.113.78", 0), { code: "ListenFailed" });
    await assert.rejects(anybodysDoor().listen("203.0.113.77", 0), { code: "ListenFailed" });
  });

  it("says which address it cannot listen on", async () => {
    const taken = await rawServer();
    const door = anybodysDoor();
    await assert.rejects(door.listen("127.0.0.1", taken.port), {
      code: "ListenFailed",
      message: new RegExp(`${taken.port}`),
    });
    await taken.close();
  });
});

/** One that nobody is to come through. */
function anybodysDoor(): FrontDoor {
  return createFrontDoor({
    http2Server: createLeanServer(),
    logger: silentLogger,
    onConnection: () => {
      throw new Error("nobody connects");
    },
    onTunnel: () => ({ outcome: "refused", reason: "none" }),
  });
}
