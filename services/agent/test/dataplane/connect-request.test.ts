import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConnectTarget, parseRequestHead } from "../../src/dataplane/connect-request.ts";

describe("CONNECT target", () => {
  it("takes names, IPv4 and bracketed IPv6 with a port", () => {
    assert.deepEqual(parseConnectTarget("bank-0.bank.svc.cluster.local:50051"), {
      host: "bank-0.bank.svc.cluster.local",
      port: 50051,
      authority: "bank-0.bank.svc.cluster.local:50051",
    });
    assert.deepEqual(parseConnectTarget("10.0.0.1:1")?.host, "10.0.0.1");
    assert.deepEqual(parseConnectTarget("[::1]:65535"), { host: "::1", port: 65535, authority: "[::1]:65535" });
  });

  const bad = [
    "",
    ":1",
    "a",
    "a:",
    "a:0",
    "a:65536",
    "a:1x",
    "a:-1",
    "u@a:1",
    "u:p@a:1",
    "::1:80",
    "[::1]",
    "[::g]:1",
    "[1.2.3.4]:1",
  ];
  for (const authority of [...bad, "[fe80::1%eth0]:1", "a/b:1", "a b:1", "http://a:1", `${"a".repeat(254)}:1`]) {
    it(`refuses ${JSON.stringify(authority.slice(0, 40))}`, () => {
      assert.equal(parseConnectTarget(authority), undefined);
    });
  }

  it("takes HTTP/1.0, as grpc-core sends it, and refuses line ends without a return", () => {
    assert.equal(parseRequestHead("CONNECT a:1 HTTP/1.0\r\nHost: a:1").outcome, "connect");
    assert.equal(parseRequestHead("CONNECT a:1 HTTP/1.0\nHost: a:1").outcome, "refused");
  });
});
