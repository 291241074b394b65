import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, createServer, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { authorityOf, introduce, startProcess } from "./processes.ts";

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

interface Answer {
  readonly status: unknown;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly code: number | undefined;
}

function exchange(session: ClientHttp2Session, path: string, body: string): Promise<Answer> {
  const stream = session.request({
    ":method": body === "" ? "GET" : "POST",
    ":authority": authorityOf("shop/pages"),
    ":path": path,
  });
  let [status, got, trailers]: [unknown, string, IncomingHttpHeaders | undefined] = [undefined, "", undefined];
  stream.setEncoding("latin1");
  stream.on("response", (headers) => {
    status = headers[":status"];
  });
  stream.on("trailers", (headers) => {
    trailers = headers;
  });
  stream.on("data", (chunk: string) => {
    got += chunk;
  });
  if (body !== "") stream.end(body);
  return new Promise((resolve, reject) => {
    stream.once("error", reject);
    stream.once("close", () => resolve({ status, body: got, trailers, code: stream.rstCode }));
  });
}

describe("HTTP/2 that is not gRPC, over a link", () => {
  it("ends without trailers where its server does, and the link goes on", { timeout: 30_000 }, async () => {
    const server = createServer();
    server.on("stream", (stream, { ":path": path }) => {
      if (path === "/nothing") {
        stream.respond({ ":status": 204 }, { endStream: true });
        return;
      }
      if (path === "/trailers") {
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "5" }));
      } else stream.respond({ ":status": 200, "content-type": "text/plain" });
      if (path === "/echo") stream.pipe(stream);
      else stream.end("hello");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    opened.push(() => server.close());
    const caller = await startProcess({ id: "shop/web", applicationPort: 0 });
    opened.push(() => caller.stop());
    const callee = await startProcess({ id: "shop/pages", applicationPort: (server.address() as AddressInfo).port });
    opened.push(() => callee.stop());
    introduce([caller, callee]);
    const session = connect(`http://127.0.0.1:${caller.outboundPort}`);
    opened.push(() => session.destroy());
    const none = { trailers: undefined, code: 0 };
    assert.deepEqual(await exchange(session, "/page", ""), { status: 200, body: "hello", ...none });
    const long = "a line\n".repeat(100_000);
    assert.deepEqual(await exchange(session, "/echo", long), { status: 200, body: long, ...none });
    assert.deepEqual(await exchange(session, "/nothing", ""), { status: 204, body: "", ...none });
    const { trailers } = await exchange(session, "/trailers", "");
    assert.equal(trailers?.["x-sum"], "5");
    assert.deepEqual(
      [...caller.links(), ...callee.links()].map(({ dead, calls }) => [dead, calls.size]),
      [
        [false, 0],
        [false, 0],
      ],
    );
  });
});
