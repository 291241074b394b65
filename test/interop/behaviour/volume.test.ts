import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer, type Http2Server } from "node:http2";
import { after, before, describe, it } from "node:test";
import { reservePort, until } from "@cutline/e2e";
import * as grpc from "@grpc/grpc-js";
import { throughAgent } from "../src/clients/http2.ts";
import { frame } from "../src/framing.ts";
import { authorityOf, type Mesh, startMesh } from "../src/mesh.ts";
import { runClient } from "../src/run-client.ts";
import { exchange, session } from "./http2-exchange.ts";
import { volumes } from "./scale.ts";
import { asItIs, client, closeAll, Held, path, proxyBy, serve, unary } from "./support.ts";
import { selfSigned } from "./tls.ts";

const messageBytesMax = 1024 * 1024;
const { openCalls, connections } = volumes();
/** Below the agent's limit of streams on one connection, 1,024. */
const callsByChannel = 1_000;
const connectionsAtATime = 20;
/** Descriptors that an agent may have more than before, once all is over: pooled connections. */
const spareDescriptors = 20;
const hello = Buffer.from("hello");
const doubling = "/behaviour.Test/Doubling";

describe("many calls, large messages, and what is no gRPC, through agents", () => {
  let mesh: Mesh;
  let pages: Http2Server;
  const ports = { app: 0, pages: 0 };

  before(async () => {
    for (const name of ["app", "pages"] as const) ports[name] = await reservePort();
    mesh = await startMesh(
      [{ name: "client" }, ...Object.entries(ports).map(([name, applicationPort]) => ({ name, applicationPort }))].map(
        (place) => ({ ...place, environment: { CUTLINE_MESSAGE_BYTES_MAX: String(messageBytesMax) } }),
      ),
    );
    proxyBy(mesh.outboundPort("client"));
    await serve(ports.app, {
      // Answers with as many bytes as the request says.
      [doubling]: (call, answer) => answer(null, Buffer.alloc(Number(call.request.toString()))),
    });
    pages = createServer();
    pages.on("stream", (stream, headers, _flags, raw) => {
      const body: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => body.push(chunk));
      stream.on("end", () => {
        const status = Number(headers["x-wanted-status"] ?? 200);
        // What the server has seen, byte for byte, but for what names the way here.
        const seen = JSON.stringify({ headers: raw, body: Buffer.concat(body).toString("latin1") });
        if (headers[":method"] === "HEAD" || status === 204) {
          stream.respond([":status", String(status), "x-seen", Buffer.from(seen).toString("base64")], {
            endStream: true,
          });
          return;
        }
        const isGrpc = headers["content-type"]?.startsWith("application/grpc") ?? false;
        const contentType = isGrpc ? "application/grpc+json" : "text/plain";
        stream.respond([":status", String(status), "content-type", contentType, "x-two", "a", "x-two", "b"], {
          waitForTrailers: true,
        });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-checksum": "42", "x-sums": ["1", "2"] }));
        stream.end(isGrpc ? frame(Buffer.from(seen), "none") : seen);
      });
    });
    pages.listen(ports.pages, "127.0.0.1");
    await once(pages, "listening");
  });
  after(async () => {
    closeAll();
    pages?.close();
    await mesh?.stop();
  });

  it("a message of the limit gets through, one of a byte more is RESOURCE_EXHAUSTED, naming the limit", async () => {
    const caller = client(authorityOf("app"));
    const whole = Buffer.alloc(messageBytesMax, "x");
    const asked = await unary(caller, path.echo, whole);
    assert.equal(asked.code, 0, asked.details);
    assert.ok(asked.message?.equals(whole));
    const refusal = new RegExp(`${messageBytesMax + 1} bytes.*${messageBytesMax}`);
    const request = await unary(caller, path.echo, Buffer.alloc(messageBytesMax + 1));
    assert.equal(request.code, grpc.status.RESOURCE_EXHAUSTED, request.details);
    assert.match(request.details, refusal);
    const answer = await unary(caller, doubling, Buffer.from(String(messageBytesMax + 1)));
    assert.equal(answer.code, grpc.status.RESOURCE_EXHAUSTED, answer.details);
    assert.match(answer.details, refusal);
    const after = await unary(caller, path.echo, hello);
    assert.equal(after.code, 0);
  });

  it("grpc-core sees the same", async () => {
    const send = (message: string) =>
      ({ path: path.echo, kind: "unary", steps: [{ do: "send", message }, { do: "halfClose" }] }) as const;
    const [seen] = await runClient(
      "grpc-core",
      {
        target: authorityOf("app"),
        messages: {
          whole: Buffer.alloc(messageBytesMax).toString("base64"),
          more: Buffer.alloc(messageBytesMax + 1).toString("base64"),
        },
        cases: [{ name: "limits", calls: [send("whole"), send("more")] }],
      },
      mesh.folder,
      `http://127.0.0.1:${mesh.outboundPort("client")}`,
    );
    const [whole, more] = seen?.calls.map(([outcome]) => outcome?.seen) ?? [];
    assert.equal(whole?.code, 0, whole?.details);
    assert.equal(whole?.messages[0]?.bytes, messageBytesMax);
    assert.equal(more?.code, grpc.status.RESOURCE_EXHAUSTED, more?.details);
    assert.match(more?.details ?? "", new RegExp(`${messageBytesMax + 1} bytes.*${messageBytesMax}`));
  });

  it(`${openCalls} calls are open at once, and each has its answers`, { timeout: 110_000 }, async () => {
    const channels = Array.from({ length: openCalls / callsByChannel }, () => client(authorityOf("app")));
    const held = channels.flatMap((channel) => Array.from({ length: callsByChannel }, () => new Held(channel)));
    await Promise.all(held.map((call) => call.exchange(hello)));
    // Every one of them has had an answer, and none has been ended.
    await Promise.all(held.map((call) => call.exchange(hello)));
    const ends = await Promise.all(held.map((call) => call.finish()));
    assert.equal(ends.filter(({ code }) => code === 0).length, openCalls);
    for (const channel of channels) channel.close();
  });

  it(`${connections} connections of one call each leave nothing behind`, async () => {
    const agents = ["client", "app"].map((name) => mesh.agent(name).pid);
    const before = agents.map(descriptors);
    let left = connections;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        const short = client(authorityOf("app"));
        const { code, details } = await unary(short, path.echo, hello);
        assert.deepEqual({ code, details }, { code: 0, details: "" });
        short.close();
      }
    };
    await Promise.all(Array.from({ length: connectionsAtATime }, worker));
    await until(
      "descriptors that are closed again",
      () =>
        agents.every((pid, index) => descriptors(pid) <= (before[index] ?? 0) + spareDescriptors) ? "ok" : undefined,
      { otherwise: () => `${agents.map(descriptors)} instead of ${before}` },
    );
  });

  it("HTTP/2 that is not gRPC passes as it is", async () => {
    const authority = authorityOf("pages");
    const agentPort = mesh.outboundPort("client");
    const direct = session(
      await throughAgent(`127.0.0.1:${ports.pages}`, { agentPort: ports.pages, how: "authority" }),
      authority,
    );
    const byAgents = session(await throughAgent(authority, { agentPort, how: "connect" }), authority);
    for (const [method, wanted, body] of [
      ["GET", "200", ""],
      ["POST", "201", "a body\n".repeat(20_000)],
      ["PUT", "404", "x"],
      ["DELETE", "204", ""],
      ["HEAD", "200", ""],
      ["OPTIONS", "503", ""],
    ] as const) {
      const headers = [
        ...[":method", method, ":scheme", "http", ":authority", authority, ":path", "/a/page?with=query&and=%20more"],
        ...[
          "x-wanted-status",
          wanted,
          "accept",
          "text/plain",
          "cookie",
          "a=1",
          "x-two",
          "1",
          "x-two",
          "",
          "x-empty",
          "",
        ],
        ...["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-odd", "\u00e9\u00ff ,;="],
      ];
      const [left, right] = await Promise.all([direct, byAgents].map((by) => exchange(by, headers, Buffer.from(body))));
      assert.deepEqual(withoutDate(right), withoutDate(left), method);
      assert.equal(left?.headers[1], wanted);
    }
    direct.close();
    byAgents.close();
  });

  it("headers, duplicates, binary values and trailers of a gRPC call by hand arrive in their order", async () => {
    const authority = authorityOf("pages");
    const agentPort = mesh.outboundPort("client");
    const direct = session(
      await throughAgent(`127.0.0.1:${ports.pages}`, { agentPort: ports.pages, how: "authority" }),
      authority,
    );
    const byAgents = session(await throughAgent(authority, { agentPort, how: "authority" }), authority);
    const headers = [
      ...[":method", "POST", ":scheme", "http", ":path", "/any.Service/Any", ":authority", authority],
      ...["te", "trailers", "content-type", "application/grpc+json", "user-agent", "by-hand/1", "grpc-timeout", "20S"],
      ...["x-bin", "AAECAw", "x-bin", "/+8", "x-text", "b", "x-text", "a", "x-long", "l".repeat(8_000)],
      ...["grpc-accept-encoding", "identity", "tracestate", "a=1,b=2", "x-wanted-status", "200"],
    ];
    const body = Buffer.concat([frame(Buffer.from("one"), "none"), frame(Buffer.alloc(70_000, 7), "gzip")]);
    const [left, right] = await Promise.all([direct, byAgents].map((by) => exchange(by, headers, body)));
    assert.deepEqual(withoutDate(right), withoutDate(left));
    assert.ok(left !== undefined && left.trailers.length > 0);
    direct.close();
    byAgents.close();
  });

  it("gRPC over TLS goes through as a tunnel, and counts as environment", async () => {
    const identity = selfSigned(mesh.folder);
    const port = await reservePort();
    const encrypted = new grpc.Server();
    encrypted.register(
      path.echo,
      (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => answer(null, call.request),
      asItIs,
      asItIs,
      "unary",
    );
    const pair = { cert_chain: identity.certificate, private_key: identity.key };
    await new Promise<void>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createSsl(null, [pair]);
      encrypted.bindAsync(`127.0.0.1:${port}`, credentials, (error) => (error ? reject(error) : resolve()));
    });
    const credentials = grpc.credentials.createSsl(identity.certificate);
    const caller = new grpc.Client(`127.0.0.1:${port}`, credentials, { "grpc.use_local_subchannel_pool": 1 });
    const { code, details, message } = await unary(caller, path.echo, hello);
    assert.deepEqual({ code, details, message }, { code: 0, details: "", message: hello });
    await until("the tunnel in the topology", async () => {
      const { environment } = await mesh.rest.topology();
      const seen = environment.some(
        ({ process, authority }) => process === "interop/client" && authority === `127.0.0.1:${port}`,
      );
      return seen ? "seen" : undefined;
    });
    encrypted.forceShutdown();
  });
});

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function withoutDate(answer: Awaited<ReturnType<typeof exchange>> | undefined): unknown {
  if (answer === undefined) return undefined;
  const { headers } = answer;
  const at = headers.indexOf("date");
  return { ...answer, headers: at < 0 ? headers : [...headers.slice(0, at + 1), "*", ...headers.slice(at + 2)] };
}
