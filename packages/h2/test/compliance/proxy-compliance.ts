import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { ClientHttp2Session, ServerHttp2Stream } from "node:http2";
import { describe, it } from "node:test";
import type { Http2Client, Http2Limits } from "../../src/port.ts";
import { type Http2Adapters, type Listening, listen, passThrough, requestHeaders, until } from "./adapters.ts";
import { type RawServer, rawAnswer, rawClient, rawServer } from "./raw-peers.ts";

interface Proxied {
  readonly near: ClientHttp2Session;
  readonly far: RawServer;
  readonly proxy: Listening;
  readonly client: Http2Client;
}

async function withProxy(
  adapters: Http2Adapters,
  onStream: (stream: ServerHttp2Stream, headers: string[]) => void,
  test: (proxied: Proxied) => Promise<void>,
  limits: Partial<Http2Limits> = {},
): Promise<void> {
  const far = await rawServer(onStream);
  const client = adapters.createClient({ host: "127.0.0.1", port: far.port, limits });
  const proxy = await listen(adapters.createServer(limits), () => passThrough(client));
  const near = rawClient(proxy.port);
  try {
    await test({ near, far, proxy, client });
  } finally {
    near.destroy();
    await client.close(0);
    await proxy.close();
    await far.close();
  }
}

export function proxyCompliance(adapters: Http2Adapters): void {
  describe(`${adapters.name}: server to client`, () => {
    it("adds and loses nothing: headers, order, duplicates, trailers", async () => {
      const answer = [
        ":status",
        "200",
        "content-type",
        "application/grpc",
        "z",
        "1",
        "y",
        "2",
        "z",
        "3",
        "high",
        "\u00e9",
      ];
      const onStream = (stream: ServerHttp2Stream) => {
        // The type of node:http2 does not know `sendDate`.
        stream.respond(answer.slice(), { waitForTrailers: true, sendDate: false } as object);
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-bin": ["AAE=", "AAI="], t: "1" }));
        stream.pipe(stream);
      };
      await withProxy(adapters, onStream, async ({ near, far }) => {
        const headers = [...requestHeaders, "b", "1", "a", "2", "b", "3", "grpc-timeout", "5S", "user-agent", "x y"];
        const stream = near.request(headers, { endStream: false });
        const got = rawAnswer(stream);
        stream.end("ping");
        const { body, ...rest } = await got;
        assert.deepEqual(far.streams[0]?.headers, headers);
        assert.deepEqual(rest.headers, answer);
        assert.deepEqual(rest.trailers, ["grpc-status", "0", "x-bin", "AAE=", "x-bin", "AAI=", "t", "1"]);
        assert.deepEqual([body.toString(), rest.code], ["ping", 0]);
      });
    });

    it("keeps 16 MiB each way intact", async () => {
      const body = randomBytes(16 * 1024 * 1024);
      const onStream = (stream: ServerHttp2Stream) => {
        stream.respond([":status", "200"]);
        stream.pipe(stream);
      };
      await withProxy(adapters, onStream, async ({ near }) => {
        const stream = near.request([...requestHeaders], { endStream: false });
        const got = rawAnswer(stream);
        stream.end(body);
        const answer = await got;
        assert.equal(
          createHash("sha256").update(answer.body).digest("hex"),
          createHash("sha256").update(body).digest("hex"),
        );
      });
    });

    it("holds little while the server does not read", async () => {
      const limits = { streamWindowBytes: 256 * 1024 };
      let received = 0;
      const onStream = (stream: ServerHttp2Stream) => {
        stream.respond([":status", "200"]);
      };
      await withProxy(
        adapters,
        onStream,
        async ({ near, far, proxy }) => {
          const stream = near.request([...requestHeaders], { endStream: false });
          stream.on("error", () => {});
          const totalBytes = 16 * 1024 * 1024;
          stream.end(Buffer.alloc(totalBytes));
          await until("the call came", () => far.streams.length === 1);
          let before = -1;
          await until("nothing moves any more", () => {
            const [socket] = proxy.sockets;
            const now = socket?.bytesRead ?? 0;
            const still = now === before && now > 0;
            before = now;
            return still;
          });
          for (let i = 0; i < 5; i += 1) await new Promise<void>((resolve) => near.ping(() => resolve()));
          const [socket] = proxy.sockets;
          assert.ok((socket?.bytesRead ?? 0) < 2 * 1024 * 1024, `${socket?.bytesRead} bytes were taken in`);
          far.streams[0]?.stream.on("data", (chunk: Buffer) => {
            received += chunk.length;
          });
          await until("all arrived", () => received === totalBytes);
        },
        limits,
      );
    });

    for (const code of [2, 7, 8, 11]) {
      it(`passes reset ${code} through, both ways, in mid-stream`, async () => {
        const onStream = (stream: ServerHttp2Stream, headers: string[]) => {
          // Without trailers to wait for, node:http2 ends the answer before it resets the stream.
          stream.respond([":status", "200"], { waitForTrailers: true });
          stream.resume();
          if (headers.includes("server")) stream.write("some", () => stream.close(code));
        };
        await withProxy(adapters, onStream, async ({ near, far }) => {
          const fromServer = await rawAnswer(near.request([...requestHeaders, "who", "server"], { endStream: false }));
          assert.equal(fromServer.code, code);
          const stream = near.request([...requestHeaders], { endStream: false });
          stream.on("error", () => {});
          stream.write("some");
          await until("the call came", () => far.streams.length === 2);
          stream.close(code);
          await until("the reset arrived", () => far.streams[1]?.stream.destroyed === true);
          assert.equal(far.streams[1]?.stream.rstCode, code);
        });
      });
    }
  });
}
