import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { createLeanClient } from "@cutline/h2";
import { CaptureRequest, CaptureResponse } from "@cutline/proto/participant";
import { status as Status } from "@grpc/grpc-js";
import { CaptureCall, type CaptureCallError } from "../../src/capture/capture-call.ts";

const timeout = 20_000;
const messageBytesMax = 1_024 * 1_024;
const request = { snapshotId: "s", attempt: 1, deadlineMs: 1_000, stateBytesMax: 0 };
const ok = { ":status": 200, "content-type": "application/grpc" };

function framed(message: Uint8Array, compressed = 0): Buffer {
  const bytes = Buffer.alloc(5 + message.length, compressed);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

const chunk = (bytes: Uint8Array) =>
  framed(CaptureResponse.encode({ body: { $case: "stateChunk", value: Buffer.from(bytes) } }).finish());

/** A call to an application that answers as it is told. */
async function callTo(t: TestContext, answer: (stream: ServerHttp2Stream) => void): Promise<CaptureCall> {
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    // What the agent gives up is reset.
    stream.on("error", () => undefined);
    answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = createLeanClient({ host: "127.0.0.1", port });
  t.after(async () => {
    await client.close(0);
    for (const session of sessions) session.destroy();
    server.close();
  });
  return new CaptureCall({ client, authority: `127.0.0.1:${port}`, messageBytesMax });
}

const rejected = (call: CaptureCall) =>
  call.next().then(
    () => assert.fail("it was answered"),
    ({ code, details }: CaptureCallError) => ({ code, details }),
  );

test("the application has the call before the request, and the request with it", { timeout }, async (t) => {
  const opened = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<CaptureRequest>();
  const call = await callTo(t, (stream) => {
    opened.resolve();
    const came: Buffer[] = [];
    stream.on("data", (bytes: Buffer) => came.push(bytes));
    stream.on("end", () => asked.resolve(CaptureRequest.decode(Buffer.concat(came).subarray(5))));
  });
  await opened.promise;
  call.request(request);
  assert.deepEqual(await asked.promise, request);
  call.cancel();
  assert.equal((await rejected(call)).code, Status.CANCELLED);
});

test("messages come whole however their bytes are cut", { timeout }, async (t) => {
  const states = [Buffer.alloc(0), Buffer.from("a"), Buffer.alloc(200_000, "b"), Buffer.from("c")];
  const all = Buffer.concat(states.map(chunk));
  const call = await callTo(t, async (stream) => {
    stream.respond(ok, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    for (const size of [1, 1, 3, 2, 9, 100_000, all.length]) {
      stream.write(all.subarray(sent, sent + size));
      sent += size;
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.end();
  });
  let sent = 0;
  call.request(request);
  for (const state of states) {
    const body = (await call.next())?.body;
    assert.ok(body?.$case === "stateChunk" && Buffer.compare(body.value, state) === 0);
  }
  assert.equal(await call.next(), undefined);
});

test("a call that fails says how", { timeout }, async (t) => {
  const answers: [(stream: ServerHttp2Stream) => void, Status, RegExp][] = [
    [
      (stream) => stream.respond({ ...ok, "grpc-status": "9", "grpc-message": "not %C3%BC" }, { endStream: true }),
      Status.FAILED_PRECONDITION,
      /^not ü$/,
    ],
    [
      (stream) => stream.respond({ ...ok, "grpc-status": "9", "grpc-message": "100%" }, { endStream: true }),
      Status.FAILED_PRECONDITION,
      /^100%$/,
    ],
    [(stream) => stream.respond({ ":status": 404 }), Status.UNAVAILABLE, /HTTP status 404/],
    [
      (stream) => {
        stream.respond(ok);
        stream.end(framed(Buffer.from("x"), 1));
      },
      Status.UNIMPLEMENTED,
      /compressed/,
    ],
    [
      (stream) => {
        stream.respond(ok);
        stream.write(framed(Buffer.alloc(messageBytesMax + 1)));
      },
      Status.RESOURCE_EXHAUSTED,
      /1048577 bytes, the limit is 1048576/,
    ],
    [
      (stream) => {
        stream.respond(ok);
        stream.end();
      },
      Status.INTERNAL,
      /without a status/,
    ],
    [(stream) => stream.session?.destroy(), Status.UNAVAILABLE, /./],
  ];
  for (const [answer, code, details] of answers) {
    const call = await callTo(t, answer);
    call.request(request);
    const error = await rejected(call);
    assert.equal(error.code, code, error.details);
    assert.match(error.details, details);
  }
});

/** Whether three answers to PING, each of them behind everything that was sent before, bring no room for more. */
async function standsStill(stream: ServerHttp2Stream): Promise<boolean> {
  const pinged = () => new Promise<void>((resolve) => void stream.session?.ping(() => resolve()));
  for (let round = 0; round < 3; round += 1) {
    await pinged();
    if (!stream.writableNeedDrain) return false;
  }
  return true;
}

test("an application that is not read waits", { timeout }, async (t) => {
  const state = chunk(Buffer.alloc(256 * 1_024));
  const count = 64;
  let taken = 0;
  const full = Promise.withResolvers<void>();
  const call = await callTo(t, async (stream) => {
    stream.respond(ok, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    for (let index = 0; index < count; index += 1) {
      if (!stream.write(state)) {
        const drained = once(stream, "drain");
        if (await standsStill(stream)) full.resolve();
        await drained;
      }
      taken += 1;
    }
    stream.end();
  });
  call.request(request);
  await full.promise;
  // What may be unread, the window of the stream, and what is in between.
  assert.ok(taken < count / 2, `${taken} of ${count} chunks went out`);
  let read = 0;
  while ((await call.next()) !== undefined) read += 1;
  assert.equal(read, count);
});
