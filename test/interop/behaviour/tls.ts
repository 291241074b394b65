import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Identity {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** A self-signed certificate for 127.0.0.1, made with openssl. */
export function selfSigned(folder: string): Identity {
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=interop", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", [...request, ...subject, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  return { certificate: readFileSync(certificate), key: readFileSync(key) };
}
