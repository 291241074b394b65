import type { X509Certificate } from "node:crypto";
import { type MeshIdentity, parseIdentity } from "./identity.ts";

export type IdentityOutcome =
  | { readonly outcome: "ok"; readonly identity: MeshIdentity }
  | { readonly outcome: "nameless"; readonly message: string };

/** Whom a certificate speaks for. It must have one URI name and no other: with two, each reader could take another one. */
export function identityOf(certificate: X509Certificate): IdentityOutcome {
  const uris = uriNamesOf(certificate);
  if (uris === undefined) return { outcome: "nameless", message: "its alternative names cannot be read" };
  const [uri] = uris;
  if (uri === undefined) return { outcome: "nameless", message: "it has no URI name" };
  if (uris.length > 1) return { outcome: "nameless", message: `it has ${uris.length} URI names, and may have one` };
  const identity = parseIdentity(uri);
  if (identity !== undefined) return { outcome: "ok", identity };
  return { outcome: "nameless", message: `its URI name ${JSON.stringify(uri)} is no process and no coordinator` };
}

/** The URI names as they stand; one that node has to quote stays quoted, and is none of ours. `undefined`: unreadable. */
export function uriNamesOf(certificate: X509Certificate): string[] | undefined {
  const list = certificate.subjectAltName ?? "";
  const uris: string[] = [];
  // Sticky: what is not understood must not be skipped, because a quoted text may look like further names.
  const entry = /([^:,"]+):((?:[^:,"]*:)*"(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  while (entry.lastIndex < list.length) {
    const match = entry.exec(list);
    if (match === null) return undefined;
    if (match[1] === "URI") uris.push(match[2] ?? "");
  }
  return uris;
}

/** Milliseconds since 1970. */
export function validity(certificate: X509Certificate): { readonly fromMs: number; readonly untilMs: number } {
  return { fromMs: certificate.validFromDate.getTime(), untilMs: certificate.validToDate.getTime() };
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

const pemPattern = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Every certificate of a PEM file, as text. */
export function splitPem(pem: string): string[] {
  return pem.match(pemPattern) ?? [];
}
