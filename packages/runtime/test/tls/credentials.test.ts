import assert from "node:assert/strict";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createMetrics, openCredentials, type TlsError } from "../../src/index.ts";
import { authority, filesOf, hourMs, mesh, peer, processNamed, rewrite } from "../../src/testing/index.ts";
import { expiryWarnings } from "../../src/tls/expiry.ts";
import type { TlsFiles } from "../../src/tls/material.ts";
import { credentialsOf, type LogLine, listLogger } from "./credentials-of.ts";

const self = processNamed("bank/a");

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, `waited for: ${what}`);
    await sleep(2);
  }
}

describe("certificate files at the start", () => {
  it("give the identity, the authorities and a line in the log", async () => {
    const lines: LogLine[] = [];
    const other = authority();
    const credentials = await credentialsOf(self, await filesOf(peer(self), [mesh, other]), {
      logger: listLogger(lines),
    });
    assert.deepEqual(credentials.current.identity, { kind: "process", trustDomain: "cutline", processId: "bank/a" });
    assert.equal(credentials.current.authorities.length, 2);
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [["info", "certificate loaded"]],
    );
    assert.deepEqual(credentials.reasons, []);
  });

  const expired = { fromMs: Date.now() - 9 * hourMs, untilMs: Date.now() - hourMs };
  const coming = { fromMs: Date.now() + hourMs, untilMs: Date.now() + 9 * hourMs };
  const cases: readonly (readonly [string, () => Promise<TlsFiles>, string, RegExp])[] = [
    [
      "expired",
      () => filesOf(peer(self, expired)),
      "CertificateExpired",
      /certificate\.pem expired at \d{4}-.*; renew it/,
    ],
    ["not yet valid", () => filesOf(peer(self, coming)), "CertificateNotYetValid", /valid from \d{4}-/],
    [
      "another process's",
      () => filesOf(peer(processNamed("bank/b"))),
      "CertificateNameWrong",
      /is that of process bank\/b, and this is process bank\/a/,
    ],
    [
      "the coordinator's",
      () => filesOf(peer({ kind: "coordinator" })),
      "CertificateNameWrong",
      /is that of the coordinator/,
    ],
    ["without a name", () => filesOf(peer(self, { uris: [] })), "CertificateNameless", /it has no URI name/],
    [
      "with two names",
      () => filesOf(peer(self, { uris: ["spiffe://cutline/process/bank/a", "spiffe://cutline/process/bank/b"] })),
      "CertificateNameless",
      /it has 2 URI names/,
    ],
    [
      "with another name's form",
      () => filesOf(peer(self, { uris: ["spiffe://cutline/ns/bank/sa/a"] })),
      "CertificateNameless",
      /is no process and no coordinator/,
    ],
    [
      "beside another one's key",
      async () => filesOf({ certificate: peer(self).certificate, key: peer(self).key }),
      "KeyMismatch",
      /key\.pem is not that of the certificate in .*certificate\.pem/,
    ],
    [
      "beside no key",
      () => filesOf({ certificate: peer(self).certificate, key: "SECRET" }),
      "TlsFileInvalid",
      /key\.pem holds no private key/,
    ],
    [
      "no certificate at all",
      () => filesOf({ certificate: "", key: peer(self).key }),
      "TlsFileInvalid",
      /certificate\.pem holds no certificate/,
    ],
    ["beside no authority", () => filesOf(peer(self), []), "TlsFileInvalid", /authorities\.pem holds no certificate/],
    [
      "beside an authority that is none",
      () => filesOf(peer(self), [peer(self)]),
      "TlsFileInvalid",
      /holds a certificate that is no authority/,
    ],
    [
      "beside authorities that have all expired",
      () => filesOf(peer(self), [authority("cutline", expired)]),
      "CertificateExpired",
      /every authority in .* has expired/,
    ],
  ];
  for (const [what, files, code, message] of cases) {
    it(`a certificate ${what}: ${code}, before anything serves`, async () => {
      await assert.rejects(credentialsOf(self, await files()), (error: TlsError) => {
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.doesNotMatch(`${error.message}${error.stack}`, /SECRET|PRIVATE KEY/);
        return true;
      });
    });
  }

  it("a file that is not there is named", async () => {
    const files = await filesOf(peer(self));
    await rm(files.authoritiesFile);
    await assert.rejects(credentialsOf(self, files), /authorities\.pem cannot be read: ENOENT/);
  });

  it("an authority that nobody would believe is doubted, not refused", async () => {
    const lines: LogLine[] = [];
    await credentialsOf(self, await filesOf(peer(self), [authority()]), { logger: listLogger(lines) });
    const doubt = lines.find(({ message }) => message === "certificate files are doubtful");
    assert.match(String(doubt?.fields.reason), /no authority in .* has issued/);
  });
});

describe("the settings", () => {
  const none = {
    tlsMode: "auto",
    tlsCertificateFile: undefined,
    tlsKeyFile: undefined,
    tlsAuthoritiesFile: undefined,
    tlsReloadIntervalMs: 10_000,
  } as const;

  it("without files there is no TLS, and the log says so", async () => {
    const lines: LogLine[] = [];
    assert.equal(await openCredentials({ config: none, self, logger: listLogger(lines) }), undefined);
    assert.match(lines[0]?.message ?? "", /^no TLS: /);
  });

  it("one of three is too few, and mutual wants all", async () => {
    const logger = listLogger([]);
    const one = { ...none, tlsKeyFile: "/k" };
    await assert.rejects(openCredentials({ config: one, self, logger }), {
      code: "TlsIncomplete",
      message: /^CUTLINE_TLS_CERTIFICATE_FILE and CUTLINE_TLS_AUTHORITIES_FILE are not set/,
    });
    const two = { ...one, tlsCertificateFile: "/c" };
    await assert.rejects(
      openCredentials({ config: two, self, logger }),
      /^TlsError: CUTLINE_TLS_AUTHORITIES_FILE is not/,
    );
    await assert.rejects(openCredentials({ config: { ...none, tlsMode: "mutual" }, self, logger }), /are not set/);
    assert.equal(await openCredentials({ config: { ...one, tlsMode: "off" }, self, logger }), undefined);
  });
});

describe("certificate files that change", () => {
  it("are used from then on, also when a folder is swapped behind a link", async () => {
    const first = peer(self);
    const real = await filesOf(first);
    const folder = dirname(real.certificateFile);
    // As Kubernetes does it: the files are links into a folder that is itself a link.
    const versions = join(folder, "versions");
    const place = async (name: string, issued: { certificate: string; key: string }) => {
      await mkdir(join(versions, name), { recursive: true });
      await writeFile(join(versions, name, "certificate.pem"), issued.certificate);
      await writeFile(join(versions, name, "key.pem"), issued.key);
    };
    await place("1", first);
    await symlink(join(versions, "1"), join(versions, "current"));
    const files = {
      certificateFile: join(versions, "current", "certificate.pem"),
      keyFile: join(versions, "current", "key.pem"),
      authoritiesFile: real.authoritiesFile,
    };
    const lines: LogLine[] = [];
    const metrics = createMetrics();
    const credentials = await credentialsOf(self, files, { logger: listLogger(lines), metrics });
    const seen: string[] = [];
    credentials.onChange(({ certificate }) => seen.push(certificate.serialNumber));
    credentials.watch();

    const before = credentials.current.certificate.serialNumber;
    await place("2", peer(self));
    await symlink(join(versions, "2"), join(versions, "next"));
    await rename(join(versions, "next"), join(versions, "current"));
    await until("the new certificate", () => credentials.current.certificate.serialNumber !== before);
    assert.deepEqual(seen, [credentials.current.certificate.serialNumber]);
    assert.match(await metrics.render(), /cutline_certificate_reloads_total\{outcome="replaced"\} 1/);
    assert.equal(lines.filter(({ message }) => message === "certificate replaced").length, 1);
  });

  it("are not used when they are wrong: the old ones stay, it is said once, and mended files are taken", async () => {
    const files = await filesOf(peer(self));
    const lines: LogLine[] = [];
    const metrics = createMetrics();
    const credentials = await credentialsOf(self, files, { logger: listLogger(lines), metrics });
    const { current } = credentials;
    const refusals = () => lines.filter(({ message }) => message === "new certificate files not used");

    await writeFile(files.keyFile, peer(self).key);
    await credentials.look();
    await credentials.look();
    assert.equal(credentials.current, current);
    assert.equal(refusals().length, 1);
    assert.equal(refusals()[0]?.fields.code, "KeyMismatch");
    assert.deepEqual(
      credentials.reasons.map(({ code }) => code),
      ["CertificateNotReloaded"],
    );
    assert.match(await metrics.render(), /cutline_certificate_reloads_total\{outcome="failed"\} 1/);

    await rm(files.certificateFile);
    await credentials.look();
    assert.equal(refusals()[1]?.fields.code, "TlsFileInvalid");
    await rewrite(files, peer(self));
    await credentials.look();
    assert.notEqual(credentials.current, current);
    assert.deepEqual(credentials.reasons, []);
  });

  it("that come too early are taken when their time has come", async () => {
    let nowMs = Date.now();
    const files = await filesOf(peer(self));
    const credentials = await credentialsOf(self, files, { nowMs: () => nowMs });
    const { current } = credentials;
    await rewrite(files, peer(self, { fromMs: nowMs + hourMs, untilMs: nowMs + 99 * hourMs }));
    await credentials.look();
    assert.equal(credentials.current, current);
    nowMs += 2 * hourMs;
    await credentials.look();
    assert.notEqual(credentials.current, current);
    assert.deepEqual(credentials.reasons, []);
  });
});

describe("a certificate that ends", () => {
  it("is warned of at each threshold once, then called expired; metric and reasons say the same", async () => {
    let nowMs = Date.now();
    const bornMs = nowMs;
    const issued = peer(self, { fromMs: bornMs, untilMs: bornMs + 100 * hourMs });
    const lines: LogLine[] = [];
    const metrics = createMetrics();
    const credentials = await credentialsOf(self, await filesOf(issued), {
      nowMs: () => nowMs,
      logger: listLogger(lines),
      metrics,
    });
    const said = () => lines.filter(({ message }) => message.startsWith("certificate expire"));
    const at = async (hours: number) => {
      nowMs = bornMs + hours * hourMs;
      await credentials.look();
      await credentials.look();
      return said().length;
    };
    assert.equal(await at(50), 0);
    assert.equal(credentials.reasons.length, 0);
    const stages = expiryWarnings.map(({ share }) => 100 * (1 - share) + 0.5);
    for (const [index, hours] of stages.entries()) assert.equal(await at(hours), index + 1);
    assert.equal(credentials.reasons[0]?.code, "CertificateExpiring");
    assert.equal(await at(101), expiryWarnings.length + 1);
    assert.deepEqual(
      said().map(({ level }) => level),
      ["warn", "warn", "warn", "error"],
    );
    assert.equal(credentials.reasons[0]?.code, "CertificateExpired");
    const untilSeconds = Math.floor((bornMs + 100 * hourMs) / 1_000);
    const { serialNumber } = credentials.current.certificate;
    const labels = `{certificate="own",subject="CN=process",serial="${serialNumber}"}`;
    assert.ok((await metrics.render()).includes(`${labels} ${untilSeconds}`));
  });

  it("and lives long is not warned of years before", async () => {
    let nowMs = Date.now();
    const dayMs = 24 * hourMs;
    const long = authority("cutline", { untilMs: nowMs + 3_650 * dayMs });
    const issued = peer(self, { issuer: long, untilMs: nowMs + 3_650 * dayMs });
    const credentials = await credentialsOf(self, await filesOf(issued, [long]), { nowMs: () => nowMs });
    nowMs += 3_600 * dayMs;
    assert.equal(credentials.reasons.length, 0);
    nowMs += 25 * dayMs;
    assert.equal(credentials.reasons.length, 2, "certificate and authority");
  });
});
