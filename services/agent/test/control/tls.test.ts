import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Issuer } from "@cutline/certificates";
import { authority, certificateOf, expired, identity, mesh } from "@cutline/runtime/testing";
import { ServerCredentials } from "@grpc/grpc-js";
import { header, self, type TestAgent, testAgent, until } from "./support/agent.ts";

/** gRPC's own server side: the agent's checks must not depend on who wrote the server. */
function serverOf({ certificate, key }: Issuer): ServerCredentials {
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
  return ServerCredentials.createSsl(Buffer.from(mesh.certificate), [pair], true);
}

async function agentIdentity() {
  return (await identity(self.processId)).credentials;
}

function refusals({ lines }: TestAgent) {
  return lines.filter(({ message }) => message === "a peer was refused");
}

describe("an agent with mutual TLS", () => {
  it("attaches to the coordinator by its name, and uploads over the same connection", async (t) => {
    const coordinator = serverOf(certificateOf("coordinator"));
    const agent = await testAgent(t, {}, {}, { agent: await agentIdentity(), coordinator });
    await agent.attached();
    const part = {
      header: header(),
      content: {
        async *bytes() {
          yield Buffer.from("state");
        },
        sha256: undefined,
      },
    };
    const uploaded = await agent.client.upload(part, new AbortController().signal);
    assert.equal(uploaded.outcome, "stored");
    assert.deepEqual(refusals(agent), []);
  });

  const cases: readonly (readonly [string, Issuer, string, RegExp])[] = [
    [
      "of a process",
      certificateOf("bank/branch-b"),
      "CertificateNameWrong",
      /process bank\/branch-b, .* the coordinator/,
    ],
    ["expired", certificateOf("coordinator", expired), "CertificateExpired", /expired at .*renew it/],
    [
      "of a foreign authority",
      certificateOf("coordinator", { issuer: authority() }),
      "CertificateForeign",
      /not among the authorities/,
    ],
  ];
  for (const [what, issued, code, reason] of cases) {
    it(`does not talk to a coordinator whose certificate is ${what}, says why once, and tries again`, async (t) => {
      const agent = await testAgent(t, {}, {}, { agent: await agentIdentity(), coordinator: serverOf(issued) });
      agent.client.start();
      await until(
        "tried again",
        () => agent.lines.filter(({ message }) => /cannot be reached/.test(String(message))).length > 2,
      );
      assert.equal(agent.coordinator.hellos.length, 0);
      assert.equal(refusals(agent).filter(({ level }) => level === "warn").length, 1);
      const [said] = refusals(agent);
      assert.deepEqual([said?.code, said?.peer, said?.address], [code, "the coordinator", agent.coordinator.address]);
      assert.match(String(said?.reason), reason);
      const lost = agent.lines.find(({ message }) => message === "the coordinator cannot be reached");
      assert.match(String(lost?.reason), reason);
    });
  }

  it("says at once that a coordinator has no TLS", async (t) => {
    const agent = await testAgent(t, {}, {}, { agent: await agentIdentity() });
    const begunMs = performance.now();
    agent.client.start();
    await until("the refusal", () => refusals(agent).length > 0);
    assert.ok(performance.now() - begunMs < 2_000);
    assert.equal(refusals(agent)[0]?.code, "PeerIsPlain");
  });

  it("attaches with its new certificate when it attaches again", async (t) => {
    const its = await identity(self.processId);
    const agent = await testAgent(
      t,
      {},
      {},
      { agent: its.credentials, coordinator: serverOf(certificateOf("coordinator")) },
    );
    await agent.attached();
    const next = authority();
    await its.replace(certificateOf(self.processId, { issuer: next }), [next]);
    assert.equal(agent.client.attached, true, "the stream lives on");
    agent.coordinator.crash();
    await until("detached", () => !agent.client.attached);
    const { certificate, key } = certificateOf("coordinator", { issuer: next });
    const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
    await agent.coordinator.start(ServerCredentials.createSsl(Buffer.from(next.certificate), [pair], true));
    await until("attached again", () => agent.client.attached);
  });
});
