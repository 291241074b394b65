import assert from "node:assert/strict";
import { connect, createServer, type Server } from "node:net";
import { afterEach, describe, it } from "node:test";
import { createHttp2Meter, createLeanServer } from "../src/index.ts";
import { until } from "./compliance/index.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
/** SETTINGS on a stream, which only connections have. */
const wrong = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 1]);

let listener: Server | undefined;
afterEach(() => listener?.close());

describe("Http2Meter", () => {
  it("counts connections, and those that were closed because the peer broke a rule", async () => {
    const meter = createHttp2Meter();
    const server = createLeanServer({}, meter);
    const onCall = () => assert.fail("there is no call");
    listener = createServer((socket) => server.accept(socket, { onCall }));
    await new Promise<void>((resolve) => listener?.listen(0, "127.0.0.1", resolve));
    const address = listener.address();
    assert.ok(address !== null && typeof address === "object");
    const [good, bad] = [connect(address.port, "127.0.0.1"), connect(address.port, "127.0.0.1")];
    for (const socket of [good, bad]) socket.resume().write(Buffer.concat([preface, settings]));
    await until("two connections", () => meter.open === 2);
    bad.write(wrong);
    await until("the end of one", () => meter.open === 1);
    assert.deepEqual(meter, { opened: 2, open: 1, protocolErrors: 1 });
    good.end();
    await until("the end of the other", () => meter.open === 0);
    assert.deepEqual(meter, { opened: 2, open: 0, protocolErrors: 1 });
    bad.destroy();
  });
});
