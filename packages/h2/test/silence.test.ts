import assert from "node:assert/strict";
import { connect } from "node:http2";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { after, describe, it } from "node:test";
import { until } from "./compliance/adapters.ts";
import { rawAnswer } from "./compliance/raw-peers.ts";
import { lean } from "./support/both.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { request } from "./support/requests.ts";
import { type TrivialServer, trivialServer } from "./support/trivial-server.ts";
import { block, type Frame, wire } from "./support/wire.ts";

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

async function serve(limits: object): Promise<TrivialServer> {
  const server = await trivialServer(lean, limits);
  opened.push(() => server.close());
  return server;
}

async function dial(server: TrivialServer): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.port);
  opened.push(() => peer.destroy());
  return peer;
}

const isQuestion = ({ type, flags }: Frame) => type === 6 && flags === 0;

/** As PING's answer: the same octets. */
function pong({ payload }: Frame): Buffer {
  const answer = wire.ping(payload.toString("latin1"));
  answer[4] = 1;
  return answer;
}

describe("connections that break", () => {
  it("have a reason also when the error has none of its own, but several inside", async () => {
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const reason = new Promise<string | undefined>((resolve) => {
      lean.createServer().accept(socket as Socket, {
        onCall: () => assert.fail("there is no call"),
        onClose: resolve,
      });
    });
    socket.destroy(new AggregateError([new Error("ECONNREFUSED ::1:1"), new Error("ECONNREFUSED 127.0.0.1:1")]));
    assert.equal(await reason, "ECONNREFUSED ::1:1; ECONNREFUSED 127.0.0.1:1");
  });
});

describe("connections that say nothing", () => {
  it("are asked by PING, and closed with GOAWAY when they do not answer", async () => {
    const server = await serve({ idleTimeoutMs: 40, pingTimeoutMs: 40 });
    const peer = await dial(server);
    await peer.closed();
    assert.equal(peer.frames.filter(isQuestion).length, 1);
    assert.deepEqual(peer.errors, ["goaway noError"]);
    await until("the server has closed it, too", () => server.sockets.size === 0);
  });

  it("stay for as long as they answer", { timeout: 30_000 }, async () => {
    const server = await serve({ idleTimeoutMs: 20, pingTimeoutMs: 10_000 });
    const session = connect(`http://127.0.0.1:${server.port}`);
    opened.push(() => session.destroy());
    let asked = 0;
    session.on("ping", () => {
      asked += 1;
    });
    await until("five questions", () => asked >= 5);
    const answer = await rawAnswer(session.request(request("/done"), { endStream: true }));
    assert.equal(answer.code, 0);
    assert.equal(server.sockets.size, 1);
  });

  it("are asked anew after each answer, by octets of their own", async () => {
    const server = await serve({ idleTimeoutMs: 20, pingTimeoutMs: 10_000 });
    const peer = await dial(server);
    const questions = () => peer.frames.filter(isQuestion);
    for (let i = 0; i < 3; i += 1) {
      await until("a question", () => questions().length === i + 1);
      peer.send(pong(questions()[i] as Frame));
    }
    assert.equal(new Set(questions().map(({ payload }) => payload.toString("hex"))).size, 3);
  });

  it("are left alone while a call is open", async () => {
    const server = await serve({ idleTimeoutMs: 40, pingTimeoutMs: 40 });
    const busy = await dial(server);
    busy.send(wire.headers(1, block(request("/begun"))));
    await busy.settled();
    // One that came later and says nothing has had all of its time.
    const idle = await dial(server);
    await idle.closed();
    assert.equal(busy.frames.filter(isQuestion).length, 0);
    assert.deepEqual([await busy.settled(), busy.errors], ["open", []]);
  });

  it("may stop in the middle of DATA, which takes as long as it takes", async () => {
    const server = await serve({ headerBlockTimeoutMs: 40 });
    const slow = await dial(server);
    const data = wire.data(1, Buffer.alloc(1_000), true);
    slow.send(wire.headers(1, block(request("/echo"))), data.subarray(0, 500));
    await until("the beginning has come", () => server.calls[0]?.events.bytes === 491);
    // One that came later and stops in the middle of HEADERS has had all of its time.
    const other = await dial(server);
    other.send(wire.headers(1, block(request("/echo"))).subarray(0, 20));
    await other.closed();
    assert.deepEqual(other.errors, ["goaway enhanceYourCalm"]);
    slow.send(data.subarray(500));
    await until("the answer has come", () => slow.hasEnded(1));
    assert.deepEqual(slow.errors, []);
  });
});
