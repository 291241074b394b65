import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { ControlClient } from "@cutline/proto/control";
import { sendRefusal } from "@cutline/runtime";
import { authority, certificateOf, expired, type Identity, identity, mesh } from "@cutline/runtime/testing";
import { ChannelCredentials, credentials as grpcCredentials, type ServiceError, status } from "@grpc/grpc-js";
import { FakeAgent } from "../support/fake-agent.ts";
import { World } from "../support/world.ts";

const worlds: World[] = [];
const agents: FakeAgent[] = [];

afterEach(async () => {
  for (const agent of agents.splice(0)) agent.close();
  for (const world of worlds.splice(0)) await world.stop();
});

async function open(it?: Identity): Promise<World> {
  const world = await World.open(it === undefined ? {} : { credentials: it.credentials });
  worlds.push(world);
  return world;
}

/** gRPC's own credentials: the server's checks must not depend on who wrote the client. */
function grpcTls({ certificate, key }: { certificate: string; key: string }): ChannelCredentials {
  const options = { checkServerIdentity: () => undefined };
  const [ca, keyPem, cert] = [mesh.certificate, key, certificate].map((pem) => Buffer.from(pem));
  return ChannelCredentials.createSsl(ca, keyPem, cert, options);
}

function agentOf(world: World, processId: string, credentials: ChannelCredentials): FakeAgent {
  const agent = new FakeAgent(world.server.address, processId, undefined, credentials);
  agents.push(agent);
  return agent;
}

async function refusalOf(agent: FakeAgent): Promise<ServiceError> {
  agent.open();
  return await agent.end();
}

function refusals(world: World) {
  return world.lines.filter(({ message }) => message === "a peer was refused").map(({ fields }) => fields);
}

describe("a coordinator with mutual TLS", () => {
  it("takes agents in by the name in their certificate, and their uploads", async () => {
    const world = await open(await identity("coordinator"));
    const agent = agentOf(world, "bank/a", grpcTls(certificateOf("bank/a")));
    await agent.attach();
    const id = await world.driver.start({});
    assert.equal(id.outcome, "accepted");
    const ref = await agent.started();
    agent.cut(ref);
    assert.equal((await agent.local(ref, "state")).sizeBytes, 5);
    assert.equal((await world.ended(ref.snapshotId)).phase, "Completed");
    assert.deepEqual(refusals(world), []);
  });

  it("refuses one that says another name, to attach and to upload", async () => {
    const world = await open(await identity("coordinator"));
    const honest = agentOf(world, "bank/a", grpcTls(certificateOf("bank/a")));
    await honest.attach();
    const impostor = agentOf(world, "bank/a", grpcTls(certificateOf("bank/evil")));
    const { code, details } = await refusalOf(impostor);
    assert.equal(code, status.PERMISSION_DENIED);
    assert.match(details, /^CertificateNameWrong: the certificate is that of process bank\/evil, .* process bank\/a/);
    assert.equal(honest.ended, undefined, "the honest one stays attached");

    await world.driver.start({});
    const ref = await honest.started();
    await assert.rejects(impostor.upload(ref, "local", Buffer.from("lies")), { code: status.PERMISSION_DENIED });
    const [first] = refusals(world);
    assert.deepEqual([first?.code, first?.peer], ["CertificateNameWrong", "process bank/evil"]);
    assert.match(String(first?.address), /^127\.0\.0\.1:\d+$/);
  });

  const foreign = authority();
  const cases = [
    ["expired", certificateOf("bank/a", expired), /^CertificateExpired: the certificate .* expired at .*renew it/],
    ["of a foreign authority", certificateOf("bank/a", { issuer: foreign }), /^CertificateForeign: .* was issued by/],
    ["without a name", certificateOf("bank/a", { uris: [] }), /^CertificateNameless: .* no URI name/],
  ] as const;
  for (const [what, issued, details] of cases) {
    it(`tells one whose certificate is ${what} why it is refused, in both calls, and logs it`, async () => {
      const world = await open(await identity("coordinator"));
      const agent = agentOf(world, "bank/a", grpcTls(issued));
      const refused = await refusalOf(agent);
      assert.equal(refused.code, status.UNAUTHENTICATED);
      assert.match(refused.details, details);
      const ref = { snapshotId: "s", attempt: 1 };
      await assert.rejects(agent.upload(ref, "local", Buffer.from("x")), { code: status.UNAUTHENTICATED });
      assert.match(`${refusals(world)[0]?.code}: ${refusals(world)[0]?.reason}`, details);
    });
  }

  it("is closed to the coordinator's own certificate, to none, and to plain gRPC", async () => {
    const world = await open(await identity("coordinator"));
    const own = await refusalOf(agentOf(world, "bank/a", grpcTls(certificateOf("coordinator"))));
    assert.equal(own.code, status.PERMISSION_DENIED);
    const without = ChannelCredentials.createSsl(Buffer.from(mesh.certificate), null, null, {
      checkServerIdentity: () => undefined,
    });
    const none = await refusalOf(agentOf(world, "bank/a", without));
    assert.deepEqual([none.code, none.details.split(":")[0]], [status.UNAUTHENTICATED, "CertificateMissing"]);
    const plain = await refusalOf(agentOf(world, "bank/a", grpcCredentials.createInsecure()));
    assert.equal(plain.code, status.UNAUTHENTICATED);
    assert.match(plain.details, /^PeerIsPlain: the dialler speaks no TLS and the acceptor wants it/);
  });

  it("closes those it refused, also when they stay", async () => {
    const world = await open(await identity("coordinator"));
    const { certificate: cert, key } = certificateOf("bank/a", { issuer: foreign });
    const [host = "", port] = world.server.address.split(":");
    const socket = connectTls({
      host,
      port: Number(port),
      cert,
      key,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    socket.on("error", () => {});
    socket.resume();
    await once(socket, "close");
  });

  it("shows new connections its new certificate, and keeps the old connections", async () => {
    const its = await identity("coordinator");
    const world = await open(its);
    const early = agentOf(world, "bank/a", grpcTls(certificateOf("bank/a")));
    await early.attach();
    const next = authority();
    await its.replace(certificateOf("coordinator", { issuer: next }), [mesh, next]);
    const issued = certificateOf("bank/b", { issuer: next });
    const trustNext = ChannelCredentials.createSsl(
      Buffer.from(next.certificate),
      Buffer.from(issued.key),
      Buffer.from(issued.certificate),
      { checkServerIdentity: () => undefined },
    );
    await agentOf(world, "bank/b", trustNext).attach();
    await world.driver.start({});
    await early.started();
    assert.equal(early.ended, undefined);
  });

  it("logs what an agent says that does not accept its certificate", async () => {
    const world = await open(await identity("coordinator"));
    const { certificate: cert, key } = certificateOf("bank/a");
    const [host = "", port] = world.server.address.split(":");
    const socket = connectTls({
      host,
      port: Number(port),
      cert,
      key,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    await once(socket, "secureConnect");
    sendRefusal(socket, { code: "CertificateForeign", message: "its certificate was issued by nobody" });
    const { fields } = await world.until("the refusal", () =>
      world.lines.find(({ message }) => message === "a peer refused this program"),
    );
    const { peer, code, reason } = fields;
    assert.deepEqual(
      { peer, code, reason },
      {
        peer: "process bank/a",
        code: "CertificateForeign",
        reason: "its certificate was issued by nobody",
      },
    );
    if (!socket.closed) await once(socket, "close");
  });

  it("stops at once, also with refused and silent connections", async () => {
    const world = await open(await identity("coordinator"));
    const [host = "", port] = world.server.address.split(":");
    const silent = connect(Number(port), host);
    silent.on("error", () => {});
    await once(silent, "connect");
    const client = new ControlClient(world.server.address, grpcTls(certificateOf("bank/a", { issuer: foreign })));
    client.attach().on("error", () => {});
    await world.until("the refusal", () => refusals(world)[0]);
    const begunMs = performance.now();
    await world.stop();
    worlds.splice(0);
    assert.ok(performance.now() - begunMs < 3_000);
    client.close();
  });
});

describe("a coordinator without TLS", () => {
  it("tells one who speaks TLS at once, and logs it", async () => {
    const world = await open();
    const begunMs = performance.now();
    const { code, details } = await refusalOf(agentOf(world, "bank/a", grpcTls(certificateOf("bank/a"))));
    assert.equal(code, status.UNAVAILABLE);
    assert.match(details, /wrong version number/);
    assert.ok(performance.now() - begunMs < 2_000);
    assert.equal(refusals(world)[0]?.code, "PeerIsTls");
  });
});
