import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { describe, it } from "node:test";
import type { AcceptedConnection, CallStream, HeaderList } from "../../src/port.ts";
import { type Http2Adapters, type Listening, listen, Recorder, requestHeaders, until } from "./adapters.ts";
import { rawAnswer, rawClient } from "./raw-peers.ts";

const answerHeaders: HeaderList = [":status", "200", "content-type", "application/grpc"];

interface Call {
  readonly stream: CallStream;
  readonly headers: HeaderList;
  readonly endStream: boolean;
  readonly events: Recorder;
}

interface Setup {
  readonly server: Listening;
  readonly client: ClientHttp2Session;
  readonly calls: Call[];
  readonly closed: () => number;
}

async function withServer(
  adapters: Http2Adapters,
  onCall: (call: Call) => void,
  test: (setup: Setup) => Promise<void>,
  limits = {},
): Promise<void> {
  const calls: Call[] = [];
  let closed = 0;
  const connection: AcceptedConnection = {
    onCall(stream, headers, endStream) {
      const events = new Recorder();
      const call = { stream, headers, endStream, events };
      calls.push(call);
      onCall(call);
      return events;
    },
    onClose() {
      closed += 1;
    },
  };
  const server = await listen(adapters.createServer(limits), () => connection);
  const client = rawClient(server.port);
  try {
    await test({ server, client, calls, closed: () => closed });
  } finally {
    client.destroy();
    await server.close();
  }
}

export function serverCompliance(adapters: Http2Adapters): void {
  describe(`${adapters.name}: server`, () => {
    it("answers with exactly the given headers, data and trailers", async () => {
      const onCall = ({ stream }: Call) => {
        stream.respond([...answerHeaders, "a", "1", "b", "2", "a", "3"], false);
        stream.write(Buffer.from("hello"));
        stream.trailers(["grpc-status", "0", "x-bin", "AAE=", "x-bin", "AAI="]);
      };
      await withServer(adapters, onCall, async ({ client, calls, server }) => {
        const answer = await rawAnswer(client.request([...requestHeaders], { endStream: true }));
        assert.deepEqual(answer.headers, [...answerHeaders, "a", "1", "b", "2", "a", "3"]);
        assert.equal(answer.body.toString(), "hello");
        assert.deepEqual(answer.trailers, ["grpc-status", "0", "x-bin", "AAE=", "x-bin", "AAI="]);
        assert.equal(answer.code, 0);
        assert.deepEqual(calls[0]?.headers, requestHeaders);
        assert.equal(calls[0]?.endStream, true);
        await until("the stream is gone", () => server.http2Server.openStreams === 0);
        assert.deepEqual(calls[0]?.events.log, []);
      });
    });

    it("answers with headers only in one frame, and without trailers", async () => {
      const onCall = ({ stream, headers }: Call) => {
        stream.respond([...answerHeaders, "grpc-status", "5"], headers.includes("only"));
        stream.write(Buffer.from("body"));
        stream.end();
      };
      await withServer(adapters, onCall, async ({ client }) => {
        const only = await rawAnswer(client.request([...requestHeaders, "x", "only"], { endStream: true }));
        assert.deepEqual(only.headers, [...answerHeaders, "grpc-status", "5"]);
        assert.equal(only.headersEnd, true);
        const plain = await rawAnswer(client.request([...requestHeaders], { endStream: true }));
        assert.deepEqual([plain.headersEnd, plain.body.toString(), plain.trailers, plain.code], [false, "body", [], 0]);
      });
    });

    it("never sends connection-specific headers", async () => {
      const onCall = ({ stream }: Call) =>
        stream.respond([...answerHeaders, "connection", "close", "keep-alive", "1", "te", "gzip", "x", "y"], true);
      await withServer(adapters, onCall, async ({ client }) => {
        const answer = await rawAnswer(client.request([...requestHeaders], { endStream: true }));
        assert.deepEqual(answer.headers, [...answerHeaders, "x", "y"]);
      });
    });

    it("hands over a request in order: data, then its end", async () => {
      const onCall = () => {};
      await withServer(adapters, onCall, async ({ client, calls }) => {
        const stream = client.request([...requestHeaders], { endStream: false });
        stream.on("error", () => {});
        stream.write("one");
        stream.end("two");
        await until("the request has ended", () => calls[0]?.events.isOver === true);
        assert.deepEqual(calls[0]?.events.log, ["data", "end"]);
        assert.equal(Buffer.concat(calls[0]?.events.chunks ?? []).toString(), "onetwo");
      });
    });

    for (const code of [0, 1, 2, 7, 8, 11]) {
      it(`passes on reset ${code} both ways`, async () => {
        await withServer(
          adapters,
          () => {},
          async ({ client, calls, server }) => {
            // Without trailers to wait for, `close` may end the request before it resets it.
            const theirs = client.request([...requestHeaders], { endStream: false, waitForTrailers: true });
            theirs.on("error", () => {});
            theirs.write("begun");
            await until("data came", () => calls[0]?.events.bytes === 5);
            theirs.close(code);
            await until("the reset came", () => calls[0]?.events.isOver === true);
            assert.deepEqual(calls[0]?.events.reset, { code, cause: "peer" });

            const ours = client.request([...requestHeaders], { endStream: false });
            const answer = rawAnswer(ours);
            await until("the call came", () => calls.length === 2);
            calls[1]?.stream.reset(code);
            calls[1]?.stream.reset(1);
            calls[1]?.stream.write(Buffer.from("ignored"));
            assert.equal((await answer).code, code);
            await until("the streams are gone", () => server.http2Server.openStreams === 0);
            assert.deepEqual(calls[1]?.events.log, []);
          },
        );
      });
    }

    for (const code of [1, 8]) {
      it(`never ends an answer that it resets with ${code}`, async () => {
        const onCall = (call: Call) => {
          call.stream.respond(answerHeaders, false);
          call.events.onData = (chunk) => {
            call.stream.write(chunk);
            call.stream.reset(code);
          };
        };
        await withServer(adapters, onCall, async ({ client }) => {
          const stream = client.request([...requestHeaders], { endStream: false });
          let ended = false;
          stream.on("end", () => {
            ended = !stream.aborted;
          });
          const answer = rawAnswer(stream);
          stream.write("something");
          assert.equal((await answer).code, code);
          assert.equal(ended, false);
        });
      });
    }

    it("tells of a reset after the request's end", async () => {
      await withServer(
        adapters,
        () => {},
        async ({ client, calls }) => {
          const stream = client.request([...requestHeaders], { endStream: false });
          stream.on("error", () => {});
          stream.end("all");
          await until("the request ended", () => calls[0]?.events.log.includes("end") === true);
          stream.close(8);
          await until("the reset came", () => calls[0]?.events.reset !== undefined);
          assert.deepEqual(calls[0]?.events.log, ["data", "end", "reset 8 peer"]);
        },
      );
    });

    it("ends a call whose answer is complete before its request", async () => {
      const onCall = ({ stream }: Call) => {
        stream.respond(answerHeaders, false);
        stream.write(Buffer.from("early"));
        stream.trailers(["grpc-status", "3"]);
      };
      await withServer(adapters, onCall, async ({ client, calls, server }) => {
        const answer = await rawAnswer(client.request([...requestHeaders], { endStream: false }));
        assert.deepEqual([answer.body.toString(), answer.trailers, answer.code], ["early", ["grpc-status", "3"], 0]);
        await until("the stream is gone", () => server.http2Server.openStreams === 0);
        assert.deepEqual(calls[0]?.events.log, ["reset 0 answered"]);
      });
    });

    it("holds the peer back while paused, within the stream's window, and loses nothing", async () => {
      const streamWindowBytes = 256 * 1024;
      const body = randomBytes(16 * 1024 * 1024);
      const onCall = ({ stream }: Call) => stream.pause();
      await withServer(
        adapters,
        onCall,
        async ({ client, calls }) => {
          const stream = client.request([...requestHeaders], { endStream: false });
          const answer = rawAnswer(stream);
          stream.end(body);
          const other = client.request([...requestHeaders], { endStream: false });
          other.on("error", () => {});
          other.write("not held up");
          await until("the second call came", () => calls.length === 2);
          calls[1]?.stream.resume();
          await until("another stream goes on", () => calls[1]?.events.bytes === 11);
          const [held] = calls;
          assert.ok(held !== undefined);
          assert.equal(held.events.bytes, 0);
          assert.ok(stream.writableLength > 0, "the peer still holds the rest");
          held.stream.resume();
          await until("some came", () => held.events.bytes > 0);
          held.stream.pause();
          const before = held.events.bytes;
          await new Promise<void>((resolve) => client.ping(() => resolve()));
          assert.equal(held.events.bytes, before);
          held.stream.resume();
          await until("all came", () => held.events.isOver);
          assert.equal(sha256(Buffer.concat(held.events.chunks)), sha256(body));
          held.stream.respond(answerHeaders, true);
          assert.equal((await answer).code, 0);
        },
        { streamWindowBytes },
      );
    });

    it("says full and drain towards a peer that reads slowly, and sends all before the trailers", async () => {
      const chunk = randomBytes(64 * 1024);
      const chunks = 256;
      let sent = 0;
      const pump = ({ stream }: Call) => {
        while (sent < chunks) {
          sent += 1;
          if (stream.write(chunk) === "full") return;
        }
        stream.trailers(["grpc-status", "0"]);
      };
      const onCall = (call: Call) => {
        call.stream.respond(answerHeaders, false);
        call.events.onDrain = () => pump(call);
        pump(call);
      };
      await withServer(adapters, onCall, async ({ client, calls }) => {
        const stream = client.request([...requestHeaders], { endStream: true });
        const answer = rawAnswer(stream);
        stream.pause();
        await until("the peer's window is full", () => (calls[0]?.stream.unsentBytes ?? 0) > 0);
        await new Promise<void>((resolve) => client.ping(() => resolve()));
        assert.ok(sent < 16, `${sent} chunks were taken though nobody reads`);
        stream.resume();
        const { body, trailers, code } = await answer;
        assert.equal(body.length, chunks * chunk.length);
        assert.deepEqual([trailers, code], [["grpc-status", "0"], 0]);
      });
    });

    it("resets calls and tells the owner when the connection is cut", async () => {
      await withServer(
        adapters,
        () => {},
        async ({ client, calls, closed }) => {
          client.request([...requestHeaders], { endStream: false }).on("error", () => {});
          await until("the call came", () => calls.length === 1);
          client.socket.destroy();
          await until("the connection is gone", () => closed() === 1 && calls[0]?.events.reset !== undefined);
          assert.equal(calls[0]?.events.reset?.cause, "connection");
        },
      );
    });

    it("refuses a header list above its limit and nothing else", async () => {
      const onCall = ({ stream }: Call) => stream.respond(answerHeaders, true);
      await withServer(
        adapters,
        onCall,
        async ({ client }) => {
          // The limit holds from the moment on that the peer knows of it.
          await rawAnswer(client.request([...requestHeaders], { endStream: true }));
          const large = client.request([...requestHeaders, "x", "y".repeat(20_000)], { endStream: true });
          const refused = await rawAnswer(large);
          assert.notEqual(refused.code, 0);
          const fine = await rawAnswer(client.request([...requestHeaders], { endStream: true }));
          assert.deepEqual(fine.headers, answerHeaders);
          const many = Array.from({ length: 400 }, (_, i) => [`x-${i}`, "v"]).flat();
          assert.equal((await rawAnswer(client.request([...requestHeaders, ...many], { endStream: true }))).code, 0);
        },
        { headerListBytesMax: 16 * 1024 },
      );
    });

    it("closes gracefully: finishes what is open, then cuts what is left", async () => {
      await withServer(
        adapters,
        () => {},
        async ({ client, calls, server, closed }) => {
          const finished = rawAnswer(client.request([...requestHeaders], { endStream: true }));
          const stuck = client.request([...requestHeaders], { endStream: false });
          stuck.on("error", () => {});
          await until("both calls came", () => calls.length === 2);
          const goaway = new Promise((resolve) => client.once("goaway", resolve));
          const closing = server.http2Server.close(300);
          await goaway;
          calls[0]?.stream.respond(answerHeaders, true);
          assert.equal((await finished).code, 0);
          await closing;
          assert.equal(closed(), 1);
          await until("the stuck call was cut", () => calls[1]?.events.reset !== undefined);
          assert.equal(calls[1]?.events.reset?.cause, "connection");
        },
      );
    });

    it("closes a connection that sends no SETTINGS", async () => {
      await withServer(
        adapters,
        () => {},
        async ({ server, closed }) => {
          const socket = connect(server.port, "127.0.0.1");
          socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
          socket.resume();
          await new Promise((resolve) => socket.once("close", resolve));
          await until("the owner knows", () => closed() >= 1);
        },
        { handshakeTimeoutMs: 50 },
      );
    });
  });
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
