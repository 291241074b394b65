import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "./support/run.ts";

let folder: string;
let mesh: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cutline-certs-"));
  mesh = join(folder, "mesh");
  await done(["certs", "authority", "--out", mesh]);
});
after(() => rm(folder, { recursive: true }));

async function done(args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(args);
  assert.equal(exitCode, 0, stderr);
  return stdout;
}

const make = (who: readonly string[], out: string, ...more: readonly string[]) =>
  run(["certs", ...who, "--authority", mesh, "--out", join(folder, out), ...more]);

async function certificateIn(...path: string[]): Promise<X509Certificate> {
  return new X509Certificate(await readFile(join(folder, ...path)));
}

test("an authority and what it issues: names, key, use, issuer and dates", async () => {
  const authority = await certificateIn("mesh", "authority.pem");
  assert.equal(authority.ca, true);
  assert.equal(authority.subjectAltName, "URI:spiffe://cutline");
  assert.equal(authority.validTo, "Feb 27 12:30:00 2036 GMT");

  const { exitCode, stdout } = await make(["process", "bank/a"], "a", "--days", "30", "-o", "json");
  assert.equal(exitCode, 0);
  assert.deepEqual(JSON.parse(stdout), {
    uri: "spiffe://cutline/process/bank/a",
    until: "2026-03-31T12:30:00.000Z",
    files: {
      certificate: join(folder, "a", "certificate.pem"),
      key: join(folder, "a", "key.pem"),
      authorities: join(folder, "a", "authorities.pem"),
    },
    shortened: false,
  });
  const issued = await certificateIn("a", "certificate.pem");
  assert.equal(issued.subjectAltName, "URI:spiffe://cutline/process/bank/a");
  assert.equal(issued.ca, false);
  assert.deepEqual(issued.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(issued.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  assert.ok(issued.checkIssued(authority) && issued.verify(authority.publicKey));
  assert.ok(issued.checkPrivateKey(createPrivateKey(await readFile(join(folder, "a", "key.pem")))));
  assert.equal(issued.validFrom, "Mar  1 12:25:00 2026 GMT", "five minutes for clocks that differ");
  assert.deepEqual((await certificateIn("a", "authorities.pem")).raw, authority.raw);

  assert.equal((await make(["coordinator"], "c")).exitCode, 0);
  assert.equal((await certificateIn("c", "certificate.pem")).subjectAltName, "URI:spiffe://cutline/coordinator");
});

test("keys are for their owner alone, and nothing else is left in the folder", async () => {
  assert.equal((await make(["process", "bank/k"], "k")).exitCode, 0);
  for (const path of [join(mesh, "authority.key"), join(folder, "k", "key.pem")]) {
    assert.equal((await stat(path)).mode & 0o777, 0o600, path);
  }
  assert.deepEqual((await readdir(join(folder, "k"))).sort(), ["authorities.pem", "certificate.pem", "key.pem"]);
});

test("nothing is replaced without --force, and then as a whole", async () => {
  assert.equal((await make(["process", "bank/f"], "f")).exitCode, 0);
  const first = await certificateIn("f", "certificate.pem");
  const refused = await make(["process", "bank/f"], "f");
  assert.equal(refused.exitCode, 5);
  assert.match(refused.stderr, /key\.pem and .*certificate\.pem are there already: .* --force/);
  assert.deepEqual((await certificateIn("f", "certificate.pem")).raw, first.raw);
  const authority = await run(["certs", "authority", "--out", mesh]);
  assert.equal(authority.exitCode, 5);

  assert.equal((await make(["process", "bank/f"], "f", "--force")).exitCode, 0);
  const second = await certificateIn("f", "certificate.pem");
  assert.notEqual(second.serialNumber, first.serialNumber);
  assert.ok(second.checkPrivateKey(createPrivateKey(await readFile(join(folder, "f", "key.pem")))));
});

test("an authority that takes over is trusted beside the one before", async () => {
  assert.equal((await make(["process", "bank/r"], "r")).exitCode, 0);
  const next = join(folder, "next");
  await done(["certs", "authority", "--out", next]);
  const args = ["certs", "process", "bank/r", "--authority", next, "--out", join(folder, "r"), "--force"];
  await done(args);
  await done(args);
  const shown = JSON.parse(await done(["certs", "show", join(folder, "r", "authorities.pem"), "-o", "json"]));
  const serials = [await certificateIn("mesh", "authority.pem"), await certificateIn("next", "authority.pem")];
  assert.deepEqual(
    shown.map(({ serial }: { serial: string }) => serial),
    serials.map(({ serialNumber }) => serialNumber),
  );
});

test("a certificate does not outlive its authority", async () => {
  const short = join(folder, "short");
  await done(["certs", "authority", "--out", short, "--days", "10", "--trust-domain", "east.example"]);
  const out = join(folder, "s");
  const { stdout, stderr } = await run(["certs", "process", "bank/s", "--authority", short, "--out", out]);
  assert.match(stdout, /^made spiffe:\/\/east\.example\/process\/bank\/s, valid until 2026-03-11T12:30:00\.000Z\n/);
  assert.match(stderr, /Its authority ends at 2026-03-11/);
});

test("show says whose, by whom and until when", async () => {
  assert.equal((await make(["process", "bank/show"], "show")).exitCode, 0);
  const { serialNumber, fingerprint256 } = await certificateIn("show", "certificate.pem");
  const { subject } = await certificateIn("mesh", "authority.pem");
  assert.match(subject, /^CN=Cutline authority [0-9a-f]{8} of cutline$/);
  assert.equal(
    await done(["certs", "show", join(folder, "show", "certificate.pem")]),
    `subject  CN=bank/show
uri      spiffe://cutline/process/bank/show
kind     peer
issuer   ${subject}
serial   ${serialNumber}
from     2026-03-01T12:25:00.000Z
until    2027-03-01T12:30:00.000Z
sha256   ${fingerprint256}
`,
  );
});

test("what cannot be done is said, and nothing is written", async () => {
  const garbage = join(folder, "garbage");
  await writeFile(garbage, "no certificate");
  const cases: readonly [readonly string[], number, RegExp][] = [
    [["process", "Bank/A", "--authority", mesh, "--out", "x"], 2, /"Bank\/A" is no process: .* lower case/],
    [["process", "bank", "--authority", mesh, "--out", "x"], 2, /namespace\/name/],
    [["process", "bank/a", "--authority", mesh], 2, /--out/],
    [["process", "bank/a", "--authority", mesh, "--out", "x", "--days", "0"], 2, /whole number from 1 to 36500/],
    [["process", "bank/a", "--authority", folder, "--out", "x"], 3, /there is no file .*authority\.pem/],
    [["authority", "--out", "x", "--trust-domain", "a/b"], 2, /is no trust domain/],
    [["show", garbage], 2, /holds no certificate in PEM form/],
    [["show", join(mesh, "authority.key")], 2, /holds no certificate in PEM form/],
    [["show", join(folder, "nothing")], 3, /there is no file/],
  ];
  for (const [args, code, message] of cases) {
    const { exitCode, stderr } = await run(["certs", ...args]);
    assert.equal(exitCode, code, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /PRIVATE KEY/);
  }
});

test("a folder whose key is another's, and a process's certificate, are no authority", async () => {
  const mixed = join(folder, "mixed");
  await done(["certs", "authority", "--out", mixed]);
  await writeFile(join(mixed, "authority.key"), await readFile(join(mesh, "authority.key")));
  const out = join(folder, "never");
  const wrongKey = await run(["certs", "process", "bank/a", "--authority", mixed, "--out", out]);
  assert.deepEqual([wrongKey.exitCode, /does not hold the key of/.test(wrongKey.stderr)], [2, true]);

  assert.equal((await make(["process", "bank/p"], "p")).exitCode, 0);
  await writeFile(join(mixed, "authority.pem"), await readFile(join(folder, "p", "certificate.pem")));
  const wrongKind = await run(["certs", "process", "bank/a", "--authority", mixed, "--out", out]);
  assert.deepEqual([wrongKind.exitCode, /is no mesh authority/.test(wrongKind.stderr)], [2, true]);
  await assert.rejects(stat(out), "nothing was written");
});
