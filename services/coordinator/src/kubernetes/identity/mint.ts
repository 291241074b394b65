import { randomBytes } from "node:crypto";
import { type IssuedCertificate, issueCertificate } from "@cutline/certificates";
import type { Issuing } from "./keeper.ts";
import type { Minted } from "./rotation.ts";

const secondMs = 1_000;

export interface AuthorityKind {
  /** For people: `mesh cutline`, `webhook`. */
  readonly title: string;
  /** `undefined`: it has no URI name. */
  readonly uri: string | undefined;
  readonly lifeMs: number;
  readonly skewMs: number;
}

/** A new authority that begins at `nowMs`, and a little earlier for those whose clocks are behind. */
export function mintAuthority({ title, uri, lifeMs, skewMs }: AuthorityKind, nowMs: number): Minted {
  const untilMs = wholeSecond(nowMs + lifeMs);
  const issued = issueCertificate({
    kind: "authority",
    // With something that no other has: people must be able to tell the old one from the new one.
    commonName: `Cutline authority ${randomBytes(4).toString("hex")} of ${title}`,
    uris: uri === undefined ? [] : [uri],
    fromMs: nowMs - skewMs,
    untilMs,
  });
  return { ...issued, untilMs };
}

export interface Subject {
  readonly commonName: string;
  readonly uris: readonly string[];
  readonly dnsNames?: readonly string[];
}

/** What is issued now lives so long, and never longer than who issues it. */
export function termOf({ untilMs, lifeMs }: Issuing, nowMs: number, skewMs: number) {
  return { fromMs: nowMs - skewMs, untilMs: wholeSecond(Math.min(nowMs + lifeMs, untilMs)) };
}

export interface OwnCertificate extends IssuedCertificate {
  readonly issuedAtMs: number;
  readonly untilMs: number;
}

/** A certificate with a key of this program's own, which is written nowhere. */
export function mintOwn(issuing: Issuing, subject: Subject, nowMs: number, skewMs: number): OwnCertificate {
  const term = termOf(issuing, nowMs, skewMs);
  const issued = issueCertificate({ kind: "peer", ...subject, ...term, issuer: issuing.issuer });
  return { ...issued, issuedAtMs: nowMs, untilMs: term.untilMs };
}

/** A certificate holds whole seconds: later than said it must not end. */
function wholeSecond(ms: number): number {
  return Math.floor(ms / secondMs) * secondMs;
}
