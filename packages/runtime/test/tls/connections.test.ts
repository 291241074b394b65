import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Issuer } from "@cutline/certificates";
import { authority, filesOf, hourMs, mesh, peer, processNamed, rewrite } from "../../src/testing/index.ts";
import { type Accepted, Acceptor } from "../../src/tls/accept.ts";
import type { TlsCredentials } from "../../src/tls/credentials.ts";
import { secure } from "../../src/tls/dial.ts";
import type { TlsProblem } from "../../src/tls/errors.ts";
import { checkName } from "../../src/tls/verify.ts";
import { credentialsOf } from "./credentials-of.ts";

const a = processNamed("bank/a");
const b = processNamed("bank/b");
const protocol = "test";
const quickMs = 300;

type Arrived = Accepted | { readonly outcome: "failed"; readonly problem: TlsProblem };

interface Listener {
  readonly port: number;
  /** What came next. */
  next(): Promise<Arrived>;
  connections(): Promise<number>;
}

async function listen(credentials: TlsCredentials | undefined, timeoutMs = 5_000): Promise<Listener> {
  const arrived: Arrived[] = [];
  let wake = () => {};
  const note = (one: Arrived) => {
    arrived.push(one);
    wake();
  };
  const acceptor = new Acceptor(
    { credentials, protocol, handshakeTimeoutMs: timeoutMs },
    { onAccepted: note, onFailed: (problem) => note({ outcome: "failed", problem }) },
  );
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    acceptor.take(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    async next() {
      while (arrived.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return arrived.shift() as Arrived;
    },
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
      ),
  };
}

async function dial(port: number, credentials: TlsCredentials, expected = b) {
  const raw = connectPlain(port, "127.0.0.1");
  await once(raw, "connect");
  after(() => raw.destroy());
  return await secure(raw, { credentials, expected, protocol, timeoutMs: 5_000 });
}

/** Credentials that were good when they were loaded. */
async function agedCredentials(name: typeof a, issued: Issuer, authorities = [mesh], agoMs = 0) {
  return await credentialsOf(name, await filesOf(issued, authorities), { nowMs: () => Date.now() - agoMs });
}

const good = async (name: typeof a) => await credentialsOf(name, await filesOf(peer(name)));

function problemOf(outcome: object): string {
  return "problem" in outcome ? (outcome.problem as TlsProblem).code : JSON.stringify(outcome);
}

describe("mutual TLS", () => {
  it("each end knows the other by its certificate, and bytes go both ways over TLS 1.3", async () => {
    const listener = await listen(await good(b));
    const dialled = await dial(listener.port, await good(a));
    const accepted = await listener.next();
    assert.equal(dialled.outcome, "verified");
    assert.ok(accepted.outcome === "verified");
    assert.deepEqual(accepted.identity, { kind: "process", trustDomain: "cutline", processId: "bank/a" });
    assert.equal(checkName(accepted.identity, a), undefined);
    assert.equal(dialled.socket.getProtocol(), "TLSv1.3");
    accepted.socket.end("hello");
    const [bytes] = await once(dialled.socket, "data");
    assert.equal(String(bytes), "hello");
    dialled.socket.end();
    await once(accepted.socket, "close");
    assert.equal(await listener.connections(), 0, "the listener has let it go");
  });

  const past = { fromMs: Date.now() - 9 * hourMs, untilMs: Date.now() - hourMs };
  const coming = { fromMs: Date.now() + hourMs, untilMs: Date.now() + 9 * hourMs };
  const foreign = authority();
  const elsewhere = authority("elsewhere");
  const cases: readonly (readonly [string, () => Promise<TlsCredentials>, string, RegExp])[] = [
    [
      "expired",
      () => agedCredentials(a, peer(a, past), [mesh], 5 * hourMs),
      "CertificateExpired",
      /expired at .*renew/,
    ],
    [
      "not yet valid",
      () => agedCredentials(a, peer(a, coming), [mesh], -5 * hourMs),
      "CertificateNotYetValid",
      /is valid from .* only.*compare the clocks/,
    ],
    [
      "of a foreign authority",
      () => agedCredentials(a, peer(a, { issuer: foreign }), [foreign, mesh]),
      "CertificateForeign",
      /was issued by CN=authority of cutline, which is not among the authorities/,
    ],
    [
      "of another trust domain whose authority is trusted",
      () =>
        agedCredentials(a, peer(a, { issuer: elsewhere, uris: ["spiffe://elsewhere/process/bank/a"] }), [
          elsewhere,
          mesh,
        ]),
      "CertificateForeign",
      /trust domain elsewhere, and the other side is of cutline/,
    ],
  ];
  for (const [what, credentials, code, message] of cases) {
    it(`a dialler's certificate ${what} is refused: ${code}`, async () => {
      const acceptors = await credentialsOf(b, await filesOf(peer(b), [mesh, elsewhere]));
      const listener = await listen(acceptors);
      await dial(listener.port, await credentials());
      const accepted = await listener.next();
      assert.ok(accepted.outcome === "refused", accepted.outcome);
      assert.equal(accepted.problem.code, code);
      assert.match(accepted.problem.message, message);
    });

    it(`an acceptor's certificate ${what} is refused: ${code}`, async () => {
      const listener = await listen(await credentials());
      const dialler = await credentialsOf(b, await filesOf(peer(b), [mesh, elsewhere]));
      const dialled = await dial(listener.port, dialler, a);
      assert.ok(dialled.outcome === "refused", dialled.outcome);
      assert.equal(dialled.problem.code, code);
      assert.match(dialled.problem.message, message);
    });
  }

  it("an acceptor that is somebody else is refused, whoever has issued its certificate", async () => {
    const listener = await listen(await good(a));
    const dialled = await dial(listener.port, await good(b), processNamed("bank/c"));
    assert.equal(problemOf(dialled), "CertificateNameWrong");
    const coordinator = await dial(listener.port, await good(b), { kind: "coordinator" });
    assert.equal(problemOf(coordinator), "CertificateNameWrong");
  });

  it("certificates without a name, with two, or not for TLS are refused", async () => {
    const listener = await listen(await good(b));
    const dialWith = async (issued: Issuer) => {
      const options: ConnectionOptions = {
        port: listener.port,
        host: "127.0.0.1",
        cert: issued.certificate,
        key: issued.key,
        rejectUnauthorized: false,
        ALPNProtocols: [protocol],
      };
      const socket = connectTls(options);
      after(() => socket.destroy());
      return problemOf(await listener.next());
    };
    assert.equal(await dialWith(peer(a, { uris: [] })), "CertificateNameless");
    const two = ["spiffe://cutline/process/bank/a", "spiffe://cutline/process/bank/b"];
    assert.equal(await dialWith(peer(a, { uris: two })), "CertificateNameless");
    const smuggled = ["https://x/, URI:spiffe://cutline/process/bank/b"];
    assert.equal(await dialWith(peer(a, { uris: smuggled })), "CertificateNameless");
    assert.equal(await dialWith(peer(a, { kind: "authority" })), "CertificatePurposeWrong");
  });

  it("no certificate, TLS 1.2 and another protocol are refused", async () => {
    const listener = await listen(await good(b));
    const dialWith = async (options: ConnectionOptions) => {
      const socket = connectTls({ port: listener.port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
      socket.on("error", () => {});
      after(() => socket.destroy());
      return await listener.next();
    };
    assert.equal(problemOf(await dialWith({ ALPNProtocols: [protocol] })), "CertificateMissing");
    const old = await dialWith({ maxVersion: "TLSv1.2", ALPNProtocols: [protocol] });
    assert.match("problem" in old ? old.problem.message : "", /the dialler speaks no TLS 1\.3/);
    const other = await dialWith({ ALPNProtocols: ["http/1.1"] });
    assert.match("problem" in other ? other.problem.message : "", /wants another protocol/);
  });
});

describe("authorities that take turns", () => {
  it("both are trusted for a while; new connections use new files and old ones live on", async () => {
    const next = authority();
    const files = await filesOf(peer(b));
    const acceptors = await credentialsOf(b, files);
    const listener = await listen(acceptors);
    const old = await dial(listener.port, await good(a));
    const first = await listener.next();
    assert.ok(old.outcome === "verified" && first.outcome === "verified");

    const newcomer = await credentialsOf(a, await filesOf(peer(a, { issuer: next }), [mesh, next]));
    await dial(listener.port, newcomer);
    assert.equal(problemOf(await listener.next()), "CertificateForeign");

    await rewrite(files, peer(b, { issuer: next }), [mesh, next]);
    await acceptors.look();
    const dialled = await dial(listener.port, newcomer);
    assert.equal(dialled.outcome, "verified");
    assert.equal((await listener.next()).outcome, "verified");
    const shown = new X509Certificate(dialled.socket.getPeerCertificate().raw);
    assert.ok(shown.verify(new X509Certificate(next.certificate).publicKey), "the acceptor shows its new certificate");

    first.socket.write("still here");
    assert.equal(String((await once(old.socket, "data"))[0]), "still here");

    await rewrite(files, peer(b, { issuer: next }), [next]);
    await acceptors.look();
    await dial(listener.port, await good(a));
    assert.equal(problemOf(await listener.next()), "CertificateForeign");
  });
});

it("an acceptor that closes leaves what it has handed over", async () => {
  let accepted: Accepted | undefined;
  const acceptor = new Acceptor(
    { credentials: await good(b), protocol, handshakeTimeoutMs: 5_000 },
    {
      onAccepted(one) {
        accepted = one;
      },
      onFailed: (problem) => assert.fail(problem.message),
    },
  );
  const server = createServer((socket) => acceptor.take(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const dialled = await dial((server.address() as AddressInfo).port, await good(a));
  dialled.socket.write("ping");
  while (accepted === undefined) await new Promise((resolve) => setImmediate(resolve));
  acceptor.close();
  server.close();
  accepted.socket.end("goodbye");
  assert.equal(String((await once(dialled.socket, "data"))[0]), "goodbye");
});

describe("TLS and plain meet", () => {
  it("a plain dialler is told apart at once, and can be answered in plain bytes", async () => {
    const listener = await listen(await good(b));
    const socket = connectPlain(listener.port, "127.0.0.1");
    socket.write("\0\0\0\x10plain");
    const accepted = await listener.next();
    assert.ok(accepted.outcome === "refused");
    assert.equal(accepted.problem.code, "PeerIsPlain");
    assert.match(accepted.problem.message, /set the CUTLINE_TLS files on both/);
    accepted.socket.end("no");
    assert.equal(String((await once(socket, "data"))[0]), "no");
  });

  it("a TLS dialler at a plain port knows at once, and so does the port", async () => {
    const listener = await listen(undefined);
    const begunMs = performance.now();
    const dialled = assert.rejects(dial(listener.port, await good(a)), { code: "PeerIsPlain" });
    const accepted = await listener.next();
    assert.ok(accepted.outcome === "refused");
    assert.equal(accepted.problem.code, "PeerIsTls");
    accepted.socket.end("anything that is no TLS");
    await dialled;
    assert.ok(performance.now() - begunMs < 2_000);
  });

  it("without TLS on either side everything passes, to the first byte", async () => {
    const listener = await listen(undefined);
    const socket = connectPlain(listener.port, "127.0.0.1");
    socket.write("first");
    const accepted = await listener.next();
    assert.ok(accepted.outcome === "plain");
    assert.equal(String((await once(accepted.socket, "data"))[0]), "first");
    socket.destroy();
  });

  it("one who says nothing, or stops in the midst of the handshake, is closed after the time-out", async () => {
    const listener = await listen(await good(b), quickMs);
    for (const bytes of ["", "\x16\x03\x01\x00\xffhalf"]) {
      const socket = connectPlain(listener.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.write(Buffer.from(bytes, "latin1"));
      assert.equal(problemOf(await listener.next()), "TlsHandshakeFailed");
      if (!socket.closed) await once(socket, "close");
    }
    assert.equal(await listener.connections(), 0);
  });
});
