import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { reservePort, until } from "@cutline/e2e";
import * as grpc from "@grpc/grpc-js";
import { authorityOf, type Mesh, startMesh } from "../src/mesh.ts";
import { runClient } from "../src/run-client.ts";
import { PingRelay } from "./ping-relay.ts";
import { client, closeAll, Held, path, proxyBy, serve, unary } from "./support.ts";

const keepaliveMs = 40;
/** Answered PINGs of each side while a call is open. */
const pingsWanted = 3;
const hello = Buffer.from("hello");

const clientKeepalive = {
  "grpc.keepalive_time_ms": keepaliveMs,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
};
const sendHello = [{ do: "send", message: "hello" }, { do: "halfClose" }] as const;

const method = {
  flaky: "/behaviour.Test/Flaky",
  mute: "/behaviour.Test/Mute",
  pinged: "/behaviour.Test/Pinged",
} as const;
const retryConfig = JSON.stringify({
  methodConfig: [
    {
      name: [{ service: "behaviour.Test" }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.01s",
        maxBackoff: "0.02s",
        backoffMultiplier: 1,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
});
const hedgingConfig = JSON.stringify({
  methodConfig: [
    {
      name: [{ service: "behaviour.Test" }],
      hedgingPolicy: { maxAttempts: 3, hedgingDelay: "0.05s", nonFatalStatusCodes: [] },
    },
  ],
});

describe("what gRPC libraries do by themselves, through agents", () => {
  let mesh: Mesh;
  const ports = { app: 0, aged: 0, late: 0, gone: 0 };
  /** Of calls of `flaky`: what their `grpc-previous-rpc-attempts` said. */
  const attempts: string[] = [];
  /** Between the clients and their agent, and between an agent and its application. */
  const relays: PingRelay[] = [];
  let nearPort = 0;
  let muteCalls = 0;
  let muteCancelled = 0;

  before(async () => {
    for (const name of ["app", "aged", "late", "gone"] as const) ports[name] = await reservePort();
    mesh = await startMesh([
      { name: "client" },
      ...Object.entries(ports).map(([name, applicationPort]) => ({ name, applicationPort })),
    ]);
    nearPort = await reservePort();
    const serverPort = await reservePort();
    proxyBy(nearPort);
    await serve(
      serverPort,
      {
        [method.flaky](call, answer) {
          const previous = call.metadata.get("grpc-previous-rpc-attempts").map(String);
          attempts.push(previous[0] ?? "none");
          if (previous[0] === "2") answer(null, call.request);
          else answer({ code: grpc.status.UNAVAILABLE, details: "not yet" });
        },
        [method.mute](call, answer) {
          muteCalls += 1;
          call.once("cancelled", () => {
            muteCancelled += 1;
          });
          if (muteCalls === 2) answer(null, call.request);
        },
        // Answers when both sides have had enough answers to their PINGs since it was called.
        async [method.pinged](call, answer) {
          const wanted = relays.map((relay) => relay.answered + pingsWanted);
          const isPinged = () => relays.every(({ answered }, index) => answered >= (wanted[index] ?? 0));
          await until("answers to PINGs", () => (isPinged() ? "answered" : undefined), {
            otherwise: () => `${relays.map(({ answered }) => answered)} instead of ${wanted}`,
          });
          answer(null, call.request);
        },
      },
      { "grpc.keepalive_time_ms": keepaliveMs, "grpc.keepalive_timeout_ms": 5_000 },
    );
    relays.push(await PingRelay.start(nearPort, mesh.outboundPort("client")));
    relays.push(await PingRelay.start(ports.app, serverPort));
  });
  const proxy = () => `http://127.0.0.1:${nearPort}`;
  after(async () => {
    for (const relay of relays) await relay.close();
    closeAll();
    await mesh?.stop();
  });

  it("retries of @grpc/grpc-js reach the server with their count", async () => {
    attempts.length = 0;
    const retrying = client(authorityOf("app"), { "grpc.service_config": retryConfig });
    const { code, details, message } = await unary(retrying, method.flaky, hello);
    assert.deepEqual({ code, details, message }, { code: 0, details: "", message: hello });
    assert.deepEqual(attempts, ["none", "1", "2"]);
  });

  it("retries of grpc-core do, too", async () => {
    attempts.length = 0;
    const [seen] = await runClient(
      "grpc-core",
      {
        target: authorityOf("app"),
        channelOptions: { "grpc.service_config": retryConfig, "grpc.enable_retries": 1 },
        messages: { hello: hello.toString("base64") },
        cases: [
          {
            name: "retry",
            calls: [{ path: method.flaky, kind: "unary", steps: sendHello }],
          },
        ],
      },
      mesh.folder,
      proxy(),
    );
    assert.equal(seen?.calls[0]?.[0]?.seen.code, 0, JSON.stringify(seen));
    assert.deepEqual(attempts, ["none", "1", "2"]);
  });

  it("a hedged call has the first answer, and what was not needed is cancelled at the server", async () => {
    muteCalls = 0;
    muteCancelled = 0;
    const hedging = client(authorityOf("app"), { "grpc.service_config": hedgingConfig });
    const { code, details, message } = await unary(hedging, method.mute, hello);
    assert.deepEqual({ code, details, message }, { code: 0, details: "", message: hello });
    await until("every other attempt cancelled", () => (muteCancelled === muteCalls - 1 ? "cancelled" : undefined));
    assert.ok(muteCalls >= 2);
  });

  it("keepalive pings of @grpc/grpc-js and of its server are answered, and nothing is closed for them", async () => {
    const pinging = client(authorityOf("app"), clientKeepalive);
    const held = new Held(pinging);
    await held.exchange(hello);
    const { code, details } = await unary(pinging, method.pinged, hello, { deadline: Date.now() + 30_000 });
    assert.deepEqual({ code, details }, { code: 0, details: "" });
    await held.exchange(hello);
    assert.equal((await held.finish()).code, 0);
  });

  it("those of grpc-core are, too", async () => {
    const [seen] = await runClient(
      "grpc-core",
      {
        target: authorityOf("app"),
        channelOptions: { ...clientKeepalive, "grpc.http2.max_pings_without_data": 0 },
        messages: { hello: hello.toString("base64") },
        cases: [
          {
            name: "keepalive",
            calls: [{ path: method.pinged, kind: "unary", timeoutMs: 30_000, steps: sendHello }],
          },
        ],
      },
      mesh.folder,
      proxy(),
    );
    assert.equal(seen?.calls[0]?.[0]?.seen.code, 0, JSON.stringify(seen));
  });

  it("waits for the agent when it is to wait until it is ready", async () => {
    const agent = mesh.agent("client");
    const waiting = client(authorityOf("app"), {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 100,
    });
    await agent.stop();
    const patient = new grpc.Metadata({ waitForReady: true });
    const impatient = await unary(waiting, path.echo, hello);
    assert.equal(impatient.code, grpc.status.UNAVAILABLE);
    const answer = unary(waiting, path.echo, hello, { deadline: Date.now() + 60_000 }, patient);
    await agent.restart();
    assert.deepEqual(await answer, { code: 0, details: "", message: hello });
  });

  it("says UNAVAILABLE while the application is away, and finds it as soon as it is there", async () => {
    const caller = client(authorityOf("late"));
    const away = await unary(caller, path.echo, hello);
    assert.equal(away.code, grpc.status.UNAVAILABLE);
    await serve(ports.late);
    await until("the application is found", async () => {
      const { code } = await unary(caller, path.echo, hello);
      assert.ok(code === 0 || code === grpc.status.UNAVAILABLE);
      return code === 0 ? "found" : undefined;
    });
  });

  it("a server that ends its connections by age harms no call, neither the open ones nor the next", async () => {
    const agents = new Set<string>();
    await serve(
      ports.aged,
      {
        "/behaviour.Test/Peer": (call, answer) => {
          agents.add(call.getPeer());
          answer(null, call.request);
        },
      },
      { "grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 30_000 },
    );
    const caller = client(authorityOf("aged"));
    const held = new Held(caller);
    await held.exchange(hello);
    await until("the third connection from the agent", async () => {
      const { code, details } = await unary(caller, "/behaviour.Test/Peer", hello);
      assert.deepEqual({ code, details }, { code: 0, details: "" });
      return agents.size >= 3 ? "third" : undefined;
    });
    // On a connection that was told to go away long ago.
    await held.exchange(hello);
    assert.equal((await held.finish()).code, 0);
  });

  it("a server that is gone in the midst of a call ends it as it does without agents", async () => {
    const codes: grpc.status[] = [];
    for (const route of ["direct", "agents"] as const) {
      const port = await reservePort();
      await serve(port);
      const wire = await PingRelay.start(ports.gone, port);
      const caller =
        route === "direct"
          ? client(`127.0.0.1:${ports.gone}`, { "grpc.enable_http_proxy": 0 })
          : client(authorityOf("gone"));
      await until("the application is found", async () =>
        (await unary(caller, path.echo, hello)).code === 0 ? "found" : undefined,
      );
      const held = new Held(caller);
      await held.exchange(hello);
      await wire.close();
      codes.push((await held.status).code);
    }
    assert.deepEqual(codes, [grpc.status.UNAVAILABLE, grpc.status.UNAVAILABLE]);
  });
});
