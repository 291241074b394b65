import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { connect } from "node:tls";
import { until } from "@cutline/h2/testing";
import { authority, certificateOf, identity } from "@cutline/runtime/testing";
import { startAgent } from "./agent.ts";

describe("the metrics of an agent with mutual TLS", () => {
  it("count peers that were refused, by the reason", { timeout: 30_000 }, async () => {
    const { credentials } = await identity("shop/orders");
    const { agent, log, metric } = await startAgent({ credentials });
    assert.deepEqual(await metric("cutline_tls_refusals_total"), {});
    const { certificate, key } = certificateOf("shop/stranger", { issuer: authority() });
    for (let i = 0; i < 2; i += 1) {
      const socket = connect({
        host: "127.0.0.1",
        port: agent.ports.linkPort,
        cert: certificate,
        key,
        rejectUnauthorized: false,
        ALPNProtocols: ["cutline-link"],
      });
      socket.on("error", () => undefined); // Refused is what it should be.
      socket.resume();
      await once(socket, "close");
    }
    await until("both are known", () => log.filter(({ message }) => message === "a peer was refused").length === 2);
    assert.deepEqual(await metric("cutline_tls_refusals_total"), {
      '{direction="incoming",by="us",code="CertificateForeign"}': 2,
    });
  });
});
