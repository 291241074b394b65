import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** PEM files of one party. */
export interface Certificate {
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Certificate and key in one file, as haproxy wants it. */
  readonly bothFile: string;
}

/** An authority of its own, for as long as the folder is there. */
export interface Authority {
  /** ECDSA P-256; valid for one day, for `localhost`, 127.0.0.1 and `spiffe://bench/PATH`. Every file is new. */
  issue(path: string): Promise<Certificate>;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export async function createAuthority(folder: string): Promise<Authority> {
  const openssl = async (...args: string[]) => void (await promisify(execFile)("openssl", args, { cwd: folder }));
  const file = (name: string) => join(folder, name);
  await openssl("req", "-x509", ...newKey, "-days", "1", "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem");
  let issued = 0;
  return {
    async issue(path) {
      issued += 1;
      const flat = `${issued}-${path.replaceAll("/", "-")}`;
      const extensions = `subjectAltName=DNS:localhost,IP:127.0.0.1,URI:spiffe://bench/${path}\nextendedKeyUsage=serverAuth,clientAuth\n`;
      await writeFile(file(`${flat}.ext`), extensions);
      await openssl(
        "req",
        "-new",
        ...newKey,
        "-subj",
        "/CN=localhost",
        "-keyout",
        `${flat}.key`,
        "-out",
        `${flat}.csr`,
      );
      const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", `${flat}.ext`];
      await openssl("x509", "-req", "-in", `${flat}.csr`, ...signed, "-out", `${flat}.pem`);
      const [certificate, key] = await Promise.all([readFile(file(`${flat}.pem`)), readFile(file(`${flat}.key`))]);
      await writeFile(file(`${flat}.both.pem`), Buffer.concat([certificate, key]), { mode: 0o600 });
      return {
        authorityFile: file("ca.pem"),
        certificateFile: file(`${flat}.pem`),
        keyFile: file(`${flat}.key`),
        bothFile: file(`${flat}.both.pem`),
      };
    },
  };
}
