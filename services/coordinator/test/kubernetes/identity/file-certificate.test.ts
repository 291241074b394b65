import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { loadConfig, silentLogger } from "@cutline/runtime";
import { certificateOf } from "@cutline/runtime/testing";
import { coordinatorConfig } from "../../../src/config.ts";
import { FileCertificate } from "../../../src/kubernetes/identity/file-certificate.ts";
import { openIdentity } from "../../../src/kubernetes/identity/open.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";

async function folderOf(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "cutline-webhook-"));
  t.after(() => rm(folder, { recursive: true }));
  const files = { certificateFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") };
  const write = async (certificate: string, key: string) => {
    await writeFile(files.certificateFile, certificate);
    await writeFile(files.keyFile, key);
  };
  return { files, write };
}

describe("the webhook's certificate from files that somebody else renews", () => {
  it("is replaced when they change; a pair that does not fit changes nothing, and is said once", async (t) => {
    const { files, write } = await folderOf(t);
    const [first, second, third] = [1, 2, 3].map(() => certificateOf("coordinator"));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    await write(first.certificate, first.key);
    const lines: LogLine[] = [];
    const certificate = await FileCertificate.open({ ...files, rereadMs: 60_000, logger: recorder(lines) });
    let changes = 0;
    const end = certificate.onChange(() => {
      changes += 1;
    });
    await certificate.look();
    assert.equal(changes, 0);
    await write(second.certificate, first.key);
    await certificate.look();
    await certificate.look();
    assert.equal(certificate.current().cert, first.certificate);
    assert.equal(lines.filter(({ level }) => level === "error").length, 1);
    await write(second.certificate, second.key);
    await certificate.look();
    assert.deepEqual(certificate.current(), { cert: second.certificate, key: second.key });
    assert.equal(changes, 1);
    end();
    await write(third.certificate, third.key);
    await certificate.look();
    assert.equal(changes, 1, "who wants to hear no more is not told");
    assert.doesNotMatch(JSON.stringify(lines), /PRIVATE KEY/);
  });

  it("that is missing, or is none, is told at the start", async (t) => {
    const { files, write } = await folderOf(t);
    const open = () => FileCertificate.open({ ...files, rereadMs: 60_000, logger: silentLogger });
    await assert.rejects(open(), {
      code: "CertificateFileInvalid",
      message: /tls\.crt and .*tls\.key cannot be used: ENOENT/,
    });
    await write(certificateOf("coordinator").certificate, certificateOf("coordinator").key);
    await assert.rejects(open(), { code: "CertificateFileInvalid", message: /the key in .* is not that of/ });
  });
});

describe("settings of identity that cannot be", () => {
  for (const [what, environment, message] of [
    [
      "an authority that lives too short",
      { CUTLINE_IDENTITY: "true", CUTLINE_IDENTITY_AUTHORITY_LIFE_MS: "86400000" },
      /CUTLINE_IDENTITY_AUTHORITY_LIFE_MS: an authority must live for at least \d+ ms/,
    ],
    [
      "a certificate without a key",
      { CUTLINE_WEBHOOK: "true", CUTLINE_WEBHOOK_CERTIFICATE_FILE: "/x" },
      /set both, or neither/,
    ],
  ] as const) {
    it(`are refused: ${what}`, async () => {
      const loaded = loadConfig(coordinatorConfig, environment);
      assert.ok(loaded.outcome === "ok");
      const opening = openIdentity(loaded.config, { nowMs: Date.now, logger: silentLogger });
      await assert.rejects(opening, { code: "ConfigInvalid", message });
    });
  }
});
