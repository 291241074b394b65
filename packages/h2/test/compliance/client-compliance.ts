import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { ServerHttp2Stream, ServerOptions } from "node:http2";
import { createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { BarrierError, type Http2Client } from "../../src/port.ts";
import { type ClientOptions, type Http2Adapters, Recorder, requestHeaders, until } from "./adapters.ts";
import { type RawServer, rawServer } from "./raw-peers.ts";

export async function withClient(
  adapters: Http2Adapters,
  onStream: (stream: ServerHttp2Stream, headers: string[]) => void,
  test: (client: Http2Client, server: RawServer) => Promise<void>,
  options: { readonly server?: ServerOptions; readonly client?: Partial<ClientOptions> } = {},
): Promise<void> {
  const server = await rawServer(onStream, options.server);
  const client = adapters.createClient({ host: "127.0.0.1", port: server.port, ...options.client });
  try {
    await test(client, server);
  } finally {
    await client.close(0);
    await server.close();
  }
}

export function answerTo(
  stream: ServerHttp2Stream,
  body = "",
  trailers: Record<string, string> = { "grpc-status": "0" },
): void {
  stream.respond([":status", "200", "content-type", "application/grpc"], { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

export function clientCompliance(adapters: Http2Adapters): void {
  describe(`${adapters.name}: client`, () => {
    it("sends exactly the given headers and hands over the answer in order, never from inside open", async () => {
      await withClient(
        adapters,
        (stream) => answerTo(stream, "hello", { "grpc-status": "0", y: "z" }),
        async (client, server) => {
          const events = new Recorder();
          const headers = [...requestHeaders, "a", "1", "b", "2", "a", "3", "x-bin", "AAE=", "high", "\u00e9\u00ff"];
          client.open(headers, true, events);
          assert.deepEqual(events.log, []);
          assert.equal(client.openStreams, 1);
          await until("the call ended", () => events.isOver);
          assert.deepEqual(events.log, ["headers", "data", "trailers"]);
          assert.deepEqual(server.streams[0]?.headers, headers);
          assert.deepEqual(events.headers.slice(0, 4), [":status", "200", "content-type", "application/grpc"]);
          assert.deepEqual(events.trailers, ["grpc-status", "0", "y", "z"]);
          assert.equal(client.openStreams, 0);
          assert.equal(client.lastError, undefined);
        },
      );
    });

    it("tells an answer of headers only, and one without trailers", async () => {
      const onStream = (stream: ServerHttp2Stream, headers: string[]) => {
        if (headers.includes("only")) stream.respond([":status", "200", "grpc-status", "5"], { endStream: true });
        else {
          stream.respond([":status", "404"]);
          stream.end("no");
        }
      };
      await withClient(adapters, onStream, async (client) => {
        const only = new Recorder();
        client.open([...requestHeaders, "x", "only"], true, only);
        const plain = new Recorder();
        client.open(requestHeaders, true, plain);
        await until("both ended", () => only.isOver && plain.isOver);
        assert.deepEqual(only.log, ["headers+end"]);
        assert.deepEqual(plain.log, ["headers", "data", "end"]);
      });
    });

    it("takes the authority of a request that has only a host from there", async () => {
      await withClient(
        adapters,
        (stream) => answerTo(stream),
        async (client, server) => {
          const events = new Recorder();
          const headers = [
            ":method",
            "POST",
            ":scheme",
            "http",
            ":path",
            "/a/b",
            "host",
            "real.test",
            "connection",
            "close",
          ];
          client.open(headers, true, events);
          await until("the call ended", () => events.isOver);
          const seen = server.streams[0]?.headers ?? [];
          assert.equal(seen[seen.indexOf(":authority") + 1], "real.test");
          assert.equal(seen.includes("connection"), false);
        },
      );
    });

    it("keeps what is written before there is a connection, in order, with its end", async () => {
      const onStream = (stream: ServerHttp2Stream) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => answerTo(stream, Buffer.concat(chunks).toString()));
      };
      await withClient(adapters, onStream, async (client) => {
        const events = new Recorder();
        const call = client.open(requestHeaders, false, events);
        for (let i = 0; i < 10; i += 1) call.write(Buffer.from(`${i},`));
        assert.equal(call.write(Buffer.alloc(100_000, "x")), "full");
        call.end();
        await until("the call ended", () => events.isOver);
        assert.equal(Buffer.concat(events.chunks).toString(), `0,1,2,3,4,5,6,7,8,9,${"x".repeat(100_000)}`);
      });
    });

    for (const code of [0, 1, 2, 7, 8, 11]) {
      it(`passes on reset ${code} both ways`, async () => {
        await withClient(
          adapters,
          () => {},
          async (client, server) => {
            const theirs = new Recorder();
            client.open(requestHeaders, false, theirs);
            await until("the call came", () => server.streams.length === 1);
            server.streams[0]?.stream.close(code);
            await until("the reset came", () => theirs.isOver);
            assert.deepEqual(theirs.reset, { code, cause: "peer" });

            const ours = new Recorder();
            const call = client.open(requestHeaders, false, ours);
            await until("the call came", () => server.streams.length === 2);
            call.reset(code);
            call.write(Buffer.from("ignored"));
            call.end();
            await until("the reset arrived", () => server.streams[1]?.stream.destroyed === true);
            assert.equal(server.streams[1]?.stream.rstCode, code);
            assert.deepEqual(ours.log, []);
            assert.equal(client.openStreams, 0);
          },
        );
      });
    }

    for (const code of [1, 8]) {
      it(`never ends a request that it resets with ${code}`, async () => {
        const ends: string[] = [];
        const onStream = (stream: ServerHttp2Stream) => {
          stream.respond([":status", "200"], { waitForTrailers: true });
          stream.on("data", (chunk: Buffer) => stream.write(chunk));
          stream.on("end", () => ends.push(stream.aborted ? "aborted" : "ended"));
        };
        await withClient(adapters, onStream, async (client, server) => {
          const atOnce = new Recorder();
          const written = client.open(requestHeaders, false, atOnce);
          await until("the call came", () => server.streams.length === 1);
          written.write(Buffer.from("last"));
          written.reset(code);
          const inside = new Recorder();
          const echoed = client.open(requestHeaders, false, inside);
          inside.onData = () => echoed.reset(code);
          echoed.write(Buffer.from("echo"));
          await until(
            "both were reset",
            () => server.streams.length === 2 && server.streams.every((each) => each.stream.destroyed),
          );
          assert.equal(ends.includes("ended"), false, ends.join());
          assert.deepEqual(
            server.streams.map((each) => each.stream.rstCode),
            [code, code],
          );
        });
      });
    }

    it("ends a call that is answered before its request has ended", async () => {
      await withClient(
        adapters,
        (stream) => answerTo(stream, "early"),
        async (client, server) => {
          const events = new Recorder();
          const call = client.open(requestHeaders, false, events);
          call.write(Buffer.from("part"));
          await until("the call ended", () => events.isOver);
          assert.deepEqual(events.log, ["headers", "data", "trailers"]);
          await until("the server is free of it", () => server.streams[0]?.stream.destroyed === true);
          assert.equal(server.streams[0]?.stream.rstCode, 0);
        },
      );
    });

    it("gives trailers only after the data that stands before them, however long it is paused", async () => {
      await withClient(
        adapters,
        (stream) => answerTo(stream, "x".repeat(50_000)),
        async (client) => {
          const events = new Recorder();
          const call = client.open(requestHeaders, true, events);
          call.pause();
          await until("headers came", () => events.log.length === 1);
          await client.barrier();
          assert.deepEqual(events.log, ["headers"]);
          call.resume();
          await until("the call ended", () => events.isOver);
          assert.deepEqual([events.log, events.bytes], [["headers", "data", "trailers"], 50_000]);
        },
      );
    });

    it("says full and drain towards a server that reads slowly", async () => {
      const chunk = randomBytes(64 * 1024);
      await withClient(
        adapters,
        () => {},
        async (client, server) => {
          let drained = true;
          const events = new Recorder();
          events.onDrain = () => {
            drained = true;
          };
          const call = client.open(requestHeaders, false, events);
          let sent = 0;
          await until("the server's window is full", () => {
            while (drained && sent < 256) {
              drained = call.write(chunk) === "taken";
              sent += 1;
            }
            return server.streams.length === 1 && !drained && call.unsentBytes > 0;
          });
          await new Promise<void>((resolve) => server.sessions[0]?.ping(() => resolve()));
          assert.ok(sent < 16, `${sent} chunks were taken though nobody reads`);
          let received = 0;
          server.streams[0]?.stream.on("data", (bytes: Buffer) => {
            received += bytes.length;
          });
          await until("all came", () => {
            while (drained && sent < 256) {
              drained = call.write(chunk) === "taken";
              sent += 1;
            }
            return received === 256 * chunk.length;
          });
        },
      );
    });

    it("refuses calls while nobody listens, says why, and works when somebody does", async () => {
      const server = await rawServer();
      await server.close();
      const client = adapters.createClient({ host: "127.0.0.1", port: server.port });
      const events = new Recorder();
      client.open(requestHeaders, true, events).write(Buffer.from("lost"));
      await until("the call was refused", () => events.isOver);
      assert.deepEqual(events.reset, { code: 7, cause: "connection" });
      assert.match(client.lastError ?? "", /ECONNREFUSED/);
      await client.close(0);
    });

    it("refuses calls when the server accepts and says nothing", async () => {
      const sockets: Socket[] = [];
      const silent = createServer((socket) => sockets.push(socket));
      await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
      const { port } = silent.address() as { port: number };
      const client = adapters.createClient({ host: "127.0.0.1", port, connectTimeoutMs: 50 });
      const events = new Recorder();
      client.open(requestHeaders, true, events);
      await until("the call was refused", () => events.isOver);
      assert.deepEqual(events.reset, { code: 7, cause: "connection" });
      assert.match(client.lastError ?? "", /50 ms/);
      await client.close(0);
      for (const socket of sockets) socket.destroy();
      silent.close();
    });

    it("refuses an answer whose header list is above its limit", async () => {
      let large = false;
      const onStream = (stream: ServerHttp2Stream) =>
        stream.respond([":status", "200", "x", "y".repeat(large ? 30_000 : 1)], { endStream: true });
      await withClient(
        adapters,
        onStream,
        async (client) => {
          // The limit holds from the moment on that the peer knows of it.
          const first = new Recorder();
          client.open(requestHeaders, true, first);
          await until("the first call ended", () => first.isOver);
          large = true;
          const events = new Recorder();
          client.open(requestHeaders, true, events);
          await until("the call ended", () => events.isOver);
          assert.equal(events.log.length, 1);
          assert.match(events.log[0] ?? "", /^reset/);
        },
        { client: { limits: { headerListBytesMax: 16 * 1024 } } },
      );
    });

    it("barrier: everything sent has arrived, and everything sent back has been handed over", async () => {
      let received = 0;
      let ended = 0;
      let reset = 0;
      const onStream = (stream: ServerHttp2Stream) => {
        stream.respond([":status", "200"]);
        stream.on("data", (chunk: Buffer) => {
          received += chunk.length;
        });
        stream.on("end", () => {
          ended += 1;
        });
        stream.on("close", () => {
          if (stream.rstCode === 8) reset += 1;
        });
      };
      await withClient(adapters, onStream, async (client) => {
        await client.barrier();
        const events = Array.from({ length: 20 }, () => new Recorder());
        const calls = events.map((each) => client.open(requestHeaders, false, each));
        for (const call of calls) call.write(Buffer.alloc(200_000));
        for (const call of calls.slice(0, 10)) call.end();
        await client.barrier();
        assert.equal(received, 20 * 200_000);
        assert.equal(ended, 10);
        assert.equal(
          events.every((each) => each.log.includes("headers")),
          true,
        );
        for (const call of calls) call.reset(8);
        await Promise.all([client.barrier(), client.barrier()]);
        assert.equal(reset, 20);
      });
    });

    it("barrier: rejects in time when the server does not read", async () => {
      await withClient(
        adapters,
        () => {},
        async (client) => {
          const call = client.open(requestHeaders, false, new Recorder());
          call.write(Buffer.alloc(4_000_000));
          await assert.rejects(client.barrier(), BarrierError);
          call.reset(8);
          await client.barrier();
        },
        { client: { barrierTimeoutMs: 200 } },
      );
    });
  });
}
