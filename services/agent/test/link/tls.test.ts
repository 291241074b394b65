import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { methods, startGrpcServer, until } from "@cutline/h2/testing";
import { LinkRefusal } from "@cutline/proto/link";
import { agoMs, authority, certificateOf, expired, type Identity, identity, mesh } from "@cutline/runtime/testing";
import * as grpc from "@grpc/grpc-js";
import { encodeFrameHeader, FrameDecoder, FrameType } from "../../src/dataplane/link/codec.ts";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "../dataplane/processes.ts";
import { startTcpProxy, type TcpProxy } from "../dataplane/tcp-proxy.ts";
import { helloTo } from "./raw-agent.ts";

const timeout = 30_000;
const callerId = "bank/caller";
const calleeId = "bank/callee";

/** What a failed test would leave running. */
const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

interface Pair {
  readonly caller: TestProcess;
  readonly callee: TestProcess;
  readonly proxy: TcpProxy;
  readonly client: grpc.Client;
}

/** Two processes with a TCP proxy between them; `undefined`: without TLS. */
async function startPair(callers: Identity | undefined, callees: Identity | undefined): Promise<Pair> {
  const server = await startGrpcServer();
  const start = (id: string, applicationPort: number, it: Identity | undefined) =>
    startProcess({
      id,
      applicationPort,
      meshLimits: { retryMinMs: 1, retryMaxMs: 20, resumeTimeoutMs: 20_000 },
      ...(it === undefined ? {} : { credentials: it.credentials }),
    });
  const caller = await start(callerId, 0, callers);
  const callee = await start(calleeId, server.port, callees);
  const proxy = await startTcpProxy(Number(callee.linkAddress.split(":")[1]));
  introduce([caller, callee], { [callee.id]: proxy.address });
  const client = dialThrough(caller, authorityOf(callee.id));
  opened.push(
    () => server.stop(),
    () => proxy.close(),
    () => callee.stop(),
    () => caller.stop(),
    () => client.close(),
  );
  return { caller, callee, proxy, client };
}

function unary(client: grpc.Client, message: Buffer): Promise<Buffer> {
  const { path, requestSerialize, responseDeserialize } = methods.unary;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error, answer) => {
      if (error === null && answer !== undefined) resolve(answer);
      else reject(error);
    });
  });
}

function openEcho(client: grpc.Client): grpc.ClientDuplexStream<Buffer, Buffer> {
  const { path, requestSerialize, responseDeserialize } = methods.echo;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new grpc.Metadata());
  call.on("error", () => {});
  return call;
}

/** What a process says of refusals, without the address. */
function refusals({ log }: TestProcess): { message: string; code: unknown; peer: unknown; reason: unknown }[] {
  return log
    .filter(({ message }) => message === "a peer was refused" || message === "a peer refused this program")
    .map(({ message, fields: { code, peer, reason } }) => ({ message, code, peer, reason }));
}

async function expectRefused({ client }: Pair, message: RegExp): Promise<void> {
  const begunMs = performance.now();
  await assert.rejects(unary(client, Buffer.from("x")), (error: grpc.ServiceError) => {
    assert.equal(error.code, grpc.status.UNAVAILABLE);
    assert.match(error.details, message);
    return true;
  });
  assert.ok(performance.now() - begunMs < 4_000, "at once, and not after a time-out");
}

describe("links over mutual TLS", () => {
  it("carry calls, and their connections resume", { timeout }, async () => {
    const { client, proxy, caller, callee } = await startPair(await identity(callerId), await identity(calleeId));
    const call = openEcho(client);
    let received = 0;
    call.on("data", (message: Buffer) => {
      assert.equal(message.toString(), String(received));
      received += 1;
    });
    const roundMessages = 400;
    const rounds = 5;
    for (let sent = 0; sent < rounds * roundMessages; sent += 1) {
      if (!call.write(Buffer.from(String(sent)))) await once(call, "drain");
      if (sent % roundMessages !== roundMessages - 1) continue;
      const some = sent - roundMessages / 2;
      await until("messages came back", () => received > some);
      proxy.cut();
    }
    call.end();
    const [status] = await once(call, "status");
    assert.equal(status.code, grpc.status.OK);
    assert.equal(received, rounds * roundMessages);
    assert.ok(proxy.accepted >= rounds, `${proxy.accepted} connections`);
    assert.deepEqual([...refusals(caller), ...refusals(callee)], []);
  });

  it("write all frames of a turn in few records", { timeout }, async () => {
    const { caller, callee } = await startPair(await identity(callerId), await identity(calleeId));
    const tap = await startRecordTap(Number(callee.linkAddress.split(":")[1]));
    introduce([caller, callee], { [callee.id]: tap.address });
    const link = caller.dataPlane.mesh.linkTo(callee.id);
    assert.ok(link);
    await until("the link is up", () => link.connected);
    const frames = 200;
    const before = tap.records();
    // Calls that are not known to the peer: it is the writing that counts here.
    for (let count = 0; count < frames; count += 1) link.grant(1_001, count);
    link.ping();
    await until("the pong", () => tap.records() > before && tap.answered());
    assert.ok(tap.records() - before <= 3, `${frames} frames took ${tap.records() - before} records`);
  });
});

describe("a peer with the wrong certificate", () => {
  const foreign = authority();
  const cases: readonly (readonly [string, (name: string) => Promise<Identity>, string, RegExp])[] = [
    [
      "expired",
      (name) => identity(name, certificateOf(name, expired), { agoMs }),
      "Certificate_?Expired",
      /expired at \d{4}-\d\d-\d\dT.*renew it/,
    ],
    [
      "of a foreign authority",
      (name) => identity(name, certificateOf(name, { issuer: foreign }), { authorities: [foreign, mesh] }),
      "Certificate_?Foreign",
      /issued by CN=authority of cutline, which is not among the authorities/,
    ],
    [
      "of another process",
      () => identity("bank/evil"),
      "Certificate_?Name_?Wrong",
      /is that of process bank\/evil, and it should be process bank\//,
    ],
  ];
  for (const [what, wrong, code, reason] of cases) {
    const codePattern = new RegExp(`^${code}$`, "i");
    it(`${what}, dialling: both sides say why, and calls end at once`, { timeout }, async () => {
      const pair = await startPair(await wrong(callerId), await identity(calleeId));
      await expectRefused(pair, reason);
      const [theirs] = refusals(pair.callee);
      assert.equal(theirs?.message, "a peer was refused");
      assert.match(String(theirs?.code), codePattern);
      assert.match(String(theirs?.reason), reason);
      const own = pair.caller.log.find(({ message }) => message === "a link was refused");
      assert.match(String(own?.fields.code), codePattern);
      assert.match(String(own?.fields.reason), reason);
      assert.equal(pair.callee.links().length, 0);
    });

    it(`${what}, dialled: both sides say why, and calls end at once`, { timeout }, async () => {
      const pair = await startPair(await identity(callerId), await wrong(calleeId));
      await expectRefused(pair, reason);
      const [own] = refusals(pair.caller);
      assert.equal(own?.message, "a peer was refused");
      assert.equal(own?.peer, calleeId);
      await until("the peer has heard", () => refusals(pair.callee).length > 0);
      const [theirs] = refusals(pair.callee);
      assert.deepEqual([theirs?.message, theirs?.peer], ["a peer refused this program", `process ${callerId}`]);
      assert.match(String(theirs?.code), codePattern);
      assert.match(String(theirs?.reason), reason);
      assert.equal(pair.callee.links().length, 0);
    });
  }

  it("cannot say another name than its certificate's", { timeout }, async () => {
    const { callee } = await startPair(undefined, await identity(calleeId));
    const [host = "", port] = callee.linkAddress.split(":");
    const { certificate: cert, key } = certificateOf("bank/raw");
    const options = { host, port: Number(port), cert, key, ca: mesh.certificate, ALPNProtocols: ["cutline-link"] };
    const greet = async (processId: string): Promise<LinkRefusal | "welcome"> => {
      const socket = connectTls({ ...options, checkServerIdentity: () => undefined });
      opened.push(() => socket.destroy());
      const hello = helloTo(callee, { processId, linkId: `link of ${processId}` });
      socket.write(Buffer.concat([encodeFrameHeader(FrameType.hello, 0, 0, 0, hello.length), hello]));
      return await new Promise((resolve) => {
        const decoder = new FrameDecoder({
          onFrame: (type, _flags, _number, _callId, payload) =>
            resolve(type === FrameType.refusal ? LinkRefusal.decode(payload) : "welcome"),
        });
        socket.on("data", (chunk: Buffer) => decoder.feed(chunk));
      });
    };
    const refused = await greet(callerId);
    assert.ok(refused !== "welcome");
    assert.equal(refused.code, "CERTIFICATE_NAME_WRONG");
    assert.equal(callee.links().length, 0);
    assert.equal(await greet("bank/raw"), "welcome");
  });
});

describe("TLS on one side only", () => {
  it("a plain dialler is told at once what is wrong", { timeout }, async () => {
    const pair = await startPair(undefined, await identity(calleeId));
    await expectRefused(pair, /refused the link: PEER_IS_PLAIN, the dialler speaks no TLS and the acceptor wants it/);
    assert.equal(refusals(pair.callee)[0]?.code, "PeerIsPlain");
  });

  it("a TLS dialler at a plain port knows at once, and so does the port", { timeout }, async () => {
    const pair = await startPair(await identity(callerId), undefined);
    await expectRefused(
      pair,
      /process bank\/callee at 127\.0\.0\.1:\d+ was refused: PeerIsPlain, the acceptor speaks no TLS/,
    );
    assert.equal(refusals(pair.caller)[0]?.code, "PeerIsPlain");
    assert.equal(refusals(pair.callee)[0]?.code, "PeerIsTls");
  });
});

describe("certificates that are replaced while links live", () => {
  it("a link goes on over its connection, and resumes with the new certificate", { timeout }, async () => {
    const callers = await identity(callerId);
    const callees = await identity(calleeId);
    const pair = await startPair(callers, callees);
    const call = openEcho(pair.client);
    const echoed: string[] = [];
    call.on("data", (message: Buffer) => echoed.push(message.toString()));
    const say = async (word: string) => {
      call.write(Buffer.from(word));
      await until(`the echo of ${word}`, () => echoed.includes(word));
    };
    await say("before");
    const next = authority();
    // First both trust the new authority, then both are of it, then nobody trusts the old one.
    await callers.replace(certificateOf(callerId), [mesh, next]);
    await callees.replace(certificateOf(calleeId), [mesh, next]);
    await callers.replace(certificateOf(callerId, { issuer: next }), [next]);
    await callees.replace(certificateOf(calleeId, { issuer: next }), [next]);
    await say("on the old connection");
    assert.equal(pair.proxy.accepted, 1);
    pair.proxy.cut();
    await say("on a new connection");
    assert.ok(pair.proxy.accepted > 1);
    assert.deepEqual(echoed, ["before", "on the old connection", "on a new connection"]);
    assert.deepEqual([...refusals(pair.caller), ...refusals(pair.callee)], []);
    call.end();
  });

  it("a link that is refused at a resume waits until certificates are mended", { timeout }, async () => {
    const callees = await identity(calleeId);
    const pair = await startPair(await identity(callerId), callees);
    const call = openEcho(pair.client);
    const echoed: string[] = [];
    call.on("data", (message: Buffer) => echoed.push(message.toString()));
    call.write(Buffer.from("one"));
    await until("the first echo", () => echoed.length === 1);
    const foreign = authority();
    await callees.replace(certificateOf(calleeId, { issuer: foreign }), [foreign, mesh]);
    pair.proxy.cut();
    call.write(Buffer.from("two"));
    await until("the refusal", () => refusals(pair.caller).length > 0);
    assert.equal(refusals(pair.caller)[0]?.code, "CertificateForeign");
    await callees.replace(certificateOf(calleeId));
    await until("the second echo", () => echoed.length === 2);
    assert.deepEqual(echoed, ["one", "two"]);
    call.end();
  });
});

it("an agent that stops says goodbye to its links", { timeout }, async () => {
  const { client, caller, callee } = await startPair(await identity(callerId), await identity(calleeId));
  await unary(client, Buffer.from("x"));
  await callee.stop();
  await until("the link is over", () => caller.links().length === 0);
  const over = caller.log.find(({ message }) => message === "link given up");
  assert.equal(over?.fields.reason, "the peer closed the link: the agent stops");
});

it("an agent stops at once, also in the midst of handshakes", { timeout }, async () => {
  const { callee } = await startPair(undefined, await identity(calleeId));
  const [host = "", port] = callee.linkAddress.split(":");
  const silent = [connect(Number(port), host), connect(Number(port), host)];
  for (const socket of silent) socket.on("error", () => {});
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  silent[1]?.write(Buffer.from("\x16\x03\x01\x00\xffhalf", "latin1"));
  const begunMs = performance.now();
  await callee.stop();
  assert.ok(performance.now() - begunMs < 2_000);
});

/** Carries bytes, and counts the TLS records with application data that go to the port. */
async function startRecordTap(port: number) {
  const applicationData = 23;
  let records = 0;
  let answeredAfter = 0;
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    sockets.push(near, far);
    let seen = Buffer.alloc(0);
    near.on("data", (chunk: Buffer) => {
      far.write(chunk);
      seen = Buffer.concat([seen, chunk]);
      while (seen.length >= 5 && seen.length >= 5 + seen.readUInt16BE(3)) {
        if (seen[0] === applicationData) records += 1;
        seen = seen.subarray(5 + seen.readUInt16BE(3));
      }
    });
    far.on("data", (chunk: Buffer) => {
      near.write(chunk);
      answeredAfter = records;
    });
    for (const socket of [near, far]) socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    records: () => records,
    answered: () => answeredAfter === records,
  };
}
