import assert from "node:assert/strict";
import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { describe, it } from "node:test";
import { rawAnswer, rawClient, rawServer, requestHeaders, until } from "@cutline/h2/testing";
import { authorityOf, introduce, startProcess, type TestProcess } from "./processes.ts";

interface Pair {
  readonly near: ClientHttp2Session;
  readonly streams: readonly { readonly stream: ServerHttp2Stream; readonly headers: string[] }[];
  readonly caller: TestProcess;
  readonly callee: TestProcess;
  open(path?: string): ClientHttp2Stream;
}

const testTimeoutMs = 30_000;
const calleeAuthority = authorityOf("bank/callee");

/** Applications of node:http2 itself, so that they can stop reading; afterwards nothing of any call may be left. */
async function withPair(
  onStream: (stream: ServerHttp2Stream, headers: string[]) => void,
  test: (pair: Pair) => Promise<void>,
): Promise<void> {
  const far = await rawServer(onStream);
  const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
  const callee = await startProcess({ id: "bank/callee", applicationPort: far.port });
  introduce([caller, callee]);
  const near = rawClient(caller.outboundPort);
  const open = (path = "/test.Service/Call") => {
    const headers = requestHeaders.map((value, i) => {
      if (requestHeaders[i - 1] === ":authority") return calleeAuthority;
      return requestHeaders[i - 1] === ":path" ? path : value;
    });
    const stream = near.request(headers, { endStream: false });
    stream.on("error", () => {});
    return stream;
  };
  try {
    await test({ near, streams: far.streams, caller, callee, open });
    await until("no call is left at either end", () => openCalls(caller) === 0 && openCalls(callee) === 0);
  } finally {
    near.destroy();
    await Promise.all([caller.stop(), callee.stop()]);
    await far.close();
  }
}

function openCalls(process: TestProcess): number {
  return process.links().reduce((total, link) => total + link.calls.size, 0);
}

/** A gRPC message of so many bytes, with its prefix. */
function message(bytes: number): Buffer {
  const framed = Buffer.alloc(bytes + 5, "m");
  framed[0] = 0;
  framed.writeUInt32BE(bytes, 1);
  return framed;
}

const answerHeaders = [":status", "200", "content-type", "application/grpc"];

function answerStatus(stream: ServerHttp2Stream, status: string): void {
  // The type of node:http2 does not know `sendDate`.
  stream.respond([...answerHeaders, "grpc-status", status], { endStream: true, sendDate: false } as object);
}

/** Writes until nothing moves any more; returns the bytes that the writer got rid of. */
async function fill(stream: ClientHttp2Stream | ServerHttp2Stream): Promise<number> {
  const piece = message(16 * 1024);
  let written = 0;
  let goOn = true;
  const pump = () => {
    while (goOn && !stream.closed && stream.writableLength < 4 * piece.length) {
      written += piece.length;
      stream.write(piece, () => setImmediate(pump));
    }
  };
  pump();
  let before = -1;
  let still = 0;
  await until("the writer is stopped", () => {
    const gone = written - stream.writableLength;
    still = gone === before && gone > 0 ? still + 1 : 0;
    before = gone;
    return still >= 25;
  });
  goOn = false;
  return written - stream.writableLength;
}

describe("readers that stop", () => {
  it("a server that does not read stops its client at a bound, and delays no other call", {
    timeout: testTimeoutMs,
  }, async () => {
    const serve = (stream: ServerHttp2Stream, headers: string[]) => {
      if (headers.includes("/slow")) stream.respond([...answerHeaders], { waitForTrailers: true });
      else answerStatus(stream, "0");
    };
    await withPair(serve, async ({ open, streams, caller, callee }) => {
      const slow = open("/slow");
      const takenBytes = await fill(slow);
      assert.ok(takenBytes < 4 * 1024 * 1024, `${takenBytes} bytes were taken in`);
      for (let i = 0; i < 50; i += 1) {
        const other = open("/other");
        other.end(message(1_000));
        assert.ok((await rawAnswer(other)).headers.includes("grpc-status"));
      }
      assert.deepEqual([openCalls(caller), openCalls(callee)], [1, 1]);
      let got = 0;
      streams[0]?.stream.on("data", (chunk: Buffer) => {
        got += chunk.length;
      });
      let sent = 0;
      slow.end(() => {
        sent = 1;
      });
      await until("all flows off", () => sent === 1 && got >= takenBytes);
      streams[0]?.stream.on("wantTrailers", () => streams[0]?.stream.sendTrailers({ "grpc-status": "0" }));
      streams[0]?.stream.end();
      await until("the call has ended", () => slow.closed);
    });
  });

  it("a client that does not read stops its server at a bound, and delays no other call", {
    timeout: testTimeoutMs,
  }, async () => {
    const serve = (stream: ServerHttp2Stream, headers: string[]) => {
      stream.resume();
      if (headers.includes("/slow")) stream.respond([...answerHeaders], { waitForTrailers: true });
      else answerStatus(stream, "0");
    };
    await withPair(serve, async ({ open, streams }) => {
      const slow = open("/slow");
      slow.end(message(1));
      await until("the call came", () => streams.length === 1);
      const far = streams[0]?.stream as ServerHttp2Stream;
      const takenBytes = await fill(far);
      assert.ok(takenBytes < 4 * 1024 * 1024, `${takenBytes} bytes were taken in`);
      for (let i = 0; i < 50; i += 1) {
        const other = open("/other");
        other.end(message(1_000));
        assert.ok((await rawAnswer(other)).headers.includes("grpc-status"));
      }
      far.on("wantTrailers", () => far.sendTrailers({ "grpc-status": "0" }));
      far.end();
      assert.equal((await rawAnswer(slow)).trailers[1], "0");
    });
  });

  it("a server that does not read is told when its client cancels", { timeout: testTimeoutMs }, async () => {
    await withPair(
      (stream) => stream.respond([...answerHeaders], { waitForTrailers: true }),
      async ({ open, streams }) => {
        const call = open();
        await fill(call);
        call.close(8);
        await until("the server is told", () => streams[0]?.stream.destroyed === true);
        assert.equal(streams[0]?.stream.rstCode, 8);
      },
    );
  });

  it("a server that has not answered is told when its client cancels after the half-close", {
    timeout: testTimeoutMs,
  }, async () => {
    await withPair(
      (stream) => stream.resume(),
      async ({ open, streams }) => {
        const call = open();
        call.end(message(10));
        await until("the server has the whole request", () => streams[0]?.stream.readableEnded === true);
        call.close(8);
        await until("the server is told", () => streams[0]?.stream.destroyed === true);
        assert.equal(streams[0]?.stream.rstCode, 8);
      },
    );
  });

  it("a server that does not read is told when its client's connection breaks", {
    timeout: testTimeoutMs,
  }, async () => {
    await withPair(
      (stream) => stream.respond([...answerHeaders], { waitForTrailers: true }),
      async ({ open, near, streams }) => {
        await fill(open());
        near.destroy();
        await until("the server is told", () => streams[0]?.stream.destroyed === true);
      },
    );
  });

  it("a client that does not read is told when its server resets", { timeout: testTimeoutMs }, async () => {
    const serve = (stream: ServerHttp2Stream) => {
      stream.resume();
      stream.respond([...answerHeaders], { waitForTrailers: true });
    };
    await withPair(serve, async ({ open, streams }) => {
      const call = open();
      call.write(message(1));
      await until("the call came", () => streams.length === 1);
      const far = streams[0]?.stream as ServerHttp2Stream;
      await fill(far);
      far.close(2);
      await until("the client is told", () => call.rstCode !== 0);
      assert.equal(call.rstCode, 2);
      call.destroy();
    });
  });

  it("a server may answer without having read, while its client still sends", { timeout: testTimeoutMs }, async () => {
    await withPair(
      () => {},
      async ({ open, streams }) => {
        const call = open();
        await fill(call);
        const answer = rawAnswer(call);
        answerStatus(streams[0]?.stream as ServerHttp2Stream, "7");
        assert.deepEqual((await answer).headers.slice(-2), ["grpc-status", "7"]);
      },
    );
  });

  it("a server may answer without having read, when its client has sent all and half-closed", {
    timeout: testTimeoutMs,
  }, async () => {
    await withPair(
      () => {},
      async ({ open, streams }) => {
        const call = open();
        const answer = rawAnswer(call);
        call.end(message(700 * 1024));
        await until(
          "the call came and the client has half-closed",
          () => streams.length === 1 && call.writableFinished,
        );
        answerStatus(streams[0]?.stream as ServerHttp2Stream, "7");
        assert.deepEqual((await answer).headers.slice(-2), ["grpc-status", "7"]);
      },
    );
  });
});
