import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createNetServer, type Server, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { CaptureError } from "../../src/capture/errors.ts";
import { parseCaptureSource, type StateSource } from "../../src/capture/state-source.ts";
import { captureError, never, readAll, sourceOf } from "./state-source-reading.ts";

async function listening(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return `http://127.0.0.1:${address.port}/state`;
}

async function httpSource(t: TestContext, listener: RequestListener): Promise<StateSource> {
  return sourceOf(await listening(t, createServer(listener)));
}

/** Answers the first bytes of each connection with `reply`, and nothing in its own words. */
async function rawSource(t: TestContext, reply: (socket: Socket) => void): Promise<StateSource> {
  const server = createNetServer((socket) => {
    // Broken connections are what these tests are about; the source's side is what is looked at.
    socket.on("error", () => undefined);
    socket.once("data", () => reply(socket));
  });
  return sourceOf(await listening(t, server));
}

describe("CUTLINE_CAPTURE", () => {
  test("names a source", () => {
    assert.deepEqual(parseCaptureSource(" participant "), { outcome: "ok", source: "participant" });
    assert.equal(sourceOf("none").name, "none");
    assert.equal(sourceOf("http://127.0.0.1:8080/state?all=1").name, "http");
    assert.equal(sourceOf("http://[::1]:8080/state").name, "http");
    assert.equal(sourceOf("file:///var/lib/app/state.json").name, "file");
  });

  for (const { text, message } of [
    { text: "", message: /"" is no source of state; use participant, http:/ },
    { text: "Participant", message: /is no source of state/ },
    { text: "/var/lib/state", message: /is no source of state/ },
    { text: "ftp://host/state", message: /is no source of state/ },
    { text: "https://127.0.0.1/state", message: /https: is not supported/ },
    { text: "http:///state", message: /use http:\/\/HOST:PORT\/PATH/ },
    { text: "http:state", message: /use http:\/\/HOST:PORT\/PATH/ },
    { text: "http://host:99999/", message: /use http:\/\/HOST:PORT\/PATH/ },
    { text: "http://host:80/#part", message: /fragment/ },
    { text: "file://var/lib/state", message: /exactly three slashes/ },
    { text: "file:state", message: /exactly three slashes/ },
    { text: "file:///", message: /exactly three slashes/ },
    { text: "file:///var/lib/", message: /names a folder/ },
    { text: "file:///a?b", message: /%3F/ },
    { text: "file:///a%2Fb", message: /no path of a file/ },
    { text: "file:///a%00b", message: /zero byte/ },
    { text: "file:///a%ffb", message: /no path of a file/ },
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      const parsed = parseCaptureSource(text);
      assert.ok(parsed.outcome === "invalid", JSON.stringify(parsed));
      assert.match(parsed.message, message);
    });
  }

  test("refuses credentials and does not repeat them", () => {
    const parsed = parseCaptureSource("http://user:hunter2@127.0.0.1/state");
    assert.ok(parsed.outcome === "invalid");
    assert.match(parsed.message, /no password/);
    assert.ok(!parsed.message.includes("hunter2"));
  });
});

test("the state of a stateless application is empty", async () => {
  const reading = await readAll(sourceOf("none"));
  assert.equal(reading.bytes.length, 0);
  assert.deepEqual(reading.contentTypes, ["application/octet-stream"]);
});

describe("a state behind http", () => {
  for (const length of [0, 1, 3_000_000]) {
    for (const framing of ["content-length", "chunked"]) {
      test(`of ${length} bytes comes in whole (${framing})`, async (t) => {
        const state = randomBytes(length);
        const source = await httpSource(t, (request, response) => {
          assert.equal(request.method, "GET");
          assert.equal(request.url, "/state");
          assert.equal(request.headers.connection, "close");
          const headers = { "content-type": "application/json; charset=utf-8" };
          if (framing === "chunked") response.writeHead(200, { ...headers, "transfer-encoding": "chunked" });
          else response.writeHead(200, { ...headers, "content-length": length });
          response.end(state);
        });
        const reading = await readAll(source);
        assert.ok(reading.bytes.equals(state));
        assert.deepEqual(reading.contentTypes, ["application/json; charset=utf-8"]);
      });
    }
  }

  test("is read with back-pressure", async (t) => {
    const state = randomBytes(8_000_000);
    const source = await httpSource(t, (_, response) =>
      response.writeHead(200, { "content-length": 8_000_000 }).end(state),
    );
    let isWriting = false;
    const reading = await readAll(source, never, async () => {
      assert.equal(isWriting, false);
      isWriting = true;
      await new Promise(setImmediate);
      isWriting = false;
    });
    assert.ok(reading.bytes.equals(state));
  });

  for (const { name, header } of [
    { name: "missing", header: undefined },
    { name: "too long", header: `text/${"x".repeat(300)}` },
    { name: "not ASCII", header: "text/pläin" },
  ]) {
    test(`has the default content type when its own is ${name}`, async (t) => {
      const source = await httpSource(t, (_, response) => {
        if (header !== undefined) response.setHeader("content-type", header);
        response.end("x");
      });
      assert.deepEqual((await readAll(source)).contentTypes, ["application/octet-stream"]);
    });
  }

  for (const { status, message } of [
    { status: 500, message: /\/state answered 500, only 200 is a state; the body begins "no luck today x+"$/ },
    { status: 404, message: /answered 404/ },
    { status: 206, message: /answered 206/ },
    { status: 204, message: /answered 204/ },
    { status: 302, message: /answered 302, redirects are not followed/ },
  ]) {
    test(`is not taken with status ${status}`, async (t) => {
      let requests = 0;
      const source = await httpSource(t, (_, response) => {
        requests += 1;
        response.writeHead(status, { location: "/elsewhere" }).end(`no luck today ${"x".repeat(100_000)}`);
      });
      await assert.rejects(readAll(source), captureError("StateUnreadable", message));
      assert.equal(requests, 1);
    });
  }

  test("a refusal whose body hangs is still reported with its status", async (t) => {
    const source = await rawSource(t, (socket) => socket.write("HTTP/1.1 503 No\r\ncontent-length: 100\r\n\r\nlater"));
    await assert.rejects(readAll(source), captureError("StateUnreadable", /answered 503.*begins "later"/));
  });

  const broken: { name: string; answer: string; message: RegExp; end?: "keep open" | "reset" }[] = [
    { name: "a body shorter than declared", answer: "content-length: 10\r\n\r\nshort", message: /aborted|ended/ },
    {
      name: "a body longer than declared",
      answer: "connection: close\r\ncontent-length: 5\r\n\r\nlonger than that",
      message: /Parse Error/,
    },
    { name: "a reset in the body", answer: "content-length: 10\r\n\r\nshort", message: /ECONNRESET/, end: "reset" },
    {
      name: "chunks without the last",
      answer: "transfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
      message: /aborted|ended/,
    },
    {
      name: "a bad size of a chunk",
      answer: "transfer-encoding: chunked\r\n\r\nzz\r\nshort\r\n0\r\n\r\n",
      message: /Parse Error/,
      end: "keep open",
    },
    {
      name: "two different lengths",
      answer: "content-length: 5\r\ncontent-length: 6\r\n\r\nshort",
      message: /Parse Error/,
      end: "keep open",
    },
    {
      name: "headers too large",
      answer: `x: ${"y".repeat(50_000)}\r\n\r\n`,
      message: /Header overflow/i,
      end: "keep open",
    },
    { name: "no sign of its end", answer: "\r\nshort", message: /neither a content-length nor chunked/ },
    {
      name: "a body that is packed",
      answer: "content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
      message: /content-encoding gzip/,
    },
  ];
  for (const { name, answer, message, end } of broken) {
    test(`is not taken with ${name}`, async (t) => {
      const source = await rawSource(t, (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${answer}`, () => {
          if (end === "reset") socket.resetAndDestroy();
          else if (end === undefined) socket.end();
        });
      });
      await assert.rejects(readAll(source), captureError("StateUnreadable", message));
    });
  }

  for (const { name, reply, message } of [
    { name: "garbage", reply: (socket: Socket) => socket.write("SSH-2.0-OpenSSH\r\n"), message: /Parse Error/ },
    { name: "nothing and an end", reply: (socket: Socket) => socket.end(), message: /socket hang up/ },
    { name: "a reset", reply: (socket: Socket) => socket.resetAndDestroy(), message: /ECONNRESET/ },
    {
      name: "an upgrade",
      reply: (socket: Socket) =>
        socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
      message: /closed before an answer|hang up/,
    },
  ]) {
    test(`is not taken from an application that answers with ${name}`, async (t) => {
      const source = await rawSource(t, reply);
      await assert.rejects(readAll(source), captureError("StateUnreadable", message));
    });
  }

  test("is not there when nobody listens", async (t) => {
    const server = createNetServer();
    const address = await listening(t, server);
    server.close();
    await once(server, "close");
    await assert.rejects(readAll(sourceOf(address)), captureError("StateUnreadable", /ECONNREFUSED/));
  });

  for (const { name, answer } of [
    { name: "never answers", answer: "" },
    { name: "stops within the headers", answer: "HTTP/1.1 200 OK\r\ncontent-" },
    { name: "stops within the body", answer: "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort" },
  ]) {
    test(`of an application that ${name} meets the caller's deadline, and the connection is closed`, async (t) => {
      const deadline = new AbortController();
      const closed = Promise.withResolvers<void>();
      const source = await rawSource(t, (socket) => {
        socket.once("close", () => closed.resolve());
        if (answer === "") deadline.abort(new CaptureError("CaptureTimedOut", "5 s are over"));
        else socket.write(answer, () => deadline.abort(new CaptureError("CaptureTimedOut", "5 s are over")));
      });
      await assert.rejects(readAll(source, deadline.signal), captureError("CaptureTimedOut", /5 s are over/));
      await closed.promise;
    });
  }

  test("ends at the deadline even when the sink hangs", async (t) => {
    const deadline = new AbortController();
    const source = await httpSource(t, (_, response) => response.end("state"));
    const reading = readAll(source, deadline.signal, () => {
      deadline.abort(new CaptureError("CaptureTimedOut", "5 s are over"));
      return new Promise(() => undefined);
    });
    await assert.rejects(reading, captureError("CaptureTimedOut", /5 s are over/));
  });

  test("gives the sink's own error to the caller", async (t) => {
    const source = await httpSource(t, (_, response) => response.end("state"));
    const reading = readAll(source, never, () => Promise.reject(new CaptureError("StateTooLarge", "too large")));
    await assert.rejects(reading, captureError("StateTooLarge", /too large/));
  });
});

for (const text of ["none", "file:///dev/null", "http://127.0.0.1:9/"]) {
  test(`a signal that was aborted before ends the reading of ${text} at once`, async () => {
    const timedOut = AbortSignal.abort(new DOMException("", "TimeoutError"));
    await assert.rejects(readAll(sourceOf(text), timedOut), captureError("CaptureTimedOut", /took too long/));
    const stopped = AbortSignal.abort(new Error("the agent stops"));
    await assert.rejects(readAll(sourceOf(text), stopped), captureError("CaptureAborted", /the agent stops/));
  });
}
