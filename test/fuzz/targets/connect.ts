import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { parseRequestHead } from "../../../services/agent/src/dataplane/connect-request.ts";
import { sniff } from "../../../services/agent/src/dataplane/sniff.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

const headBytesMax = 512;
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const hosts = ["bank.example:80", "[::1]:50051", "10.0.0.1:1", "[::ffff:1.2.3.4]:65535", "a:65536", "a:0", ":80"];

/** A socket whose other end has sent these bytes and has then closed its side. */
function socketWith(pieces: readonly Buffer[]): Duplex {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  for (const piece of pieces) socket.push(piece);
  socket.push(null);
  return socket;
}

async function restOf(socket: Duplex): Promise<Buffer> {
  const rest: Buffer[] = [];
  for await (const chunk of socket) rest.push(chunk as Buffer);
  return Buffer.concat(rest);
}

/** `sniff` and `parseRequestHead`: nothing is lost of what is not consumed, and what is no CONNECT is refused. */
export const target: Target = {
  name: "connect",
  testExecutions: defaultTestExecutions,
  samples: () => [
    Buffer.from(`${preface}\x00\x00\x00\x04\x00\x00\x00\x00\x00`),
    Buffer.from("CONNECT bank.example:80 HTTP/1.1\r\nHost: bank.example:80\r\n\r\nrest"),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.from("\x16\x03\x01\x00\xa5\x01"),
    Buffer.from(`CONNECT a:1 HTTP/1.1\r\nX: ${"x".repeat(600)}\r\n\r\n`),
  ],
  generate(random) {
    const host = random.pick(hosts) ?? "";
    const method = random.happens(0.8) ? "CONNECT" : (random.pick(["GET", "POST", "connect", "C".repeat(20)]) ?? "");
    const lines = [`${method} ${host} HTTP/1.${random.below(3)}`];
    for (let left = random.below(5); left > 0; left -= 1) lines.push(`x: ${randomBytes(random, 8).toString("latin1")}`);
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${preface}`, "latin1");
  },
  open: () => ({
    async run(input) {
      const socket = socketWith(piecesOf(input, choicesOf(input)));
      const sniffed = await sniff(socket as Socket, { headBytesMax, timeoutMs: 5_000 });
      if (sniffed.outcome === "timeout") throw new Error("the sniffing took as long as its time-out");
      if (sniffed.outcome === "closed") return;
      const rest = await restOf(socket);
      if (sniffed.outcome !== "head") {
        assert.equal(rest.compare(input), 0);
        return;
      }
      const { head } = sniffed;
      assert.ok(head.length + 4 <= headBytesMax);
      assert.equal(`${head}\r\n\r\n${rest.toString("latin1")}`, input.toString("latin1"));
      const parsed = parseRequestHead(head);
      if (parsed.outcome === "refused") return;
      const { host, port, authority } = parsed.target;
      assert.ok(port >= 1 && port <= 65_535 && /^[A-Za-z0-9._:-]{1,253}$/.test(host));
      assert.ok(head.startsWith(`CONNECT ${authority} HTTP/1.`));
    },
    close() {},
  }),
};
