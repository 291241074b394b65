import type { Logger } from "@cutline/runtime";
import type { ServingCertificate } from "../webhook/certificate.ts";
import type { AuthorityKeeper } from "./keeper.ts";
import { mintOwn, type OwnCertificate, type Subject } from "./mint.ts";

export interface OwnCertificateOptions {
  readonly keeper: AuthorityKeeper;
  readonly subject: Subject;
  readonly skewMs: number;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** At this share of its life it is renewed. */
const renewalShare = 2 / 3;

/** A certificate for this program itself, by an authority that is kept in a Secret; renewed, and never written down. */
export class HeldCertificate implements ServingCertificate {
  readonly #options: OwnCertificateOptions;
  readonly #listeners = new Set<() => void>();
  #current: OwnCertificate;

  /** The keeper has looked. Throws `AuthorityStale`. */
  constructor(options: OwnCertificateOptions) {
    this.#options = options;
    this.#current = this.#mint();
    options.keeper.onLook(() => this.#renew());
  }

  current(): { readonly cert: string; readonly key: string } {
    const { certificate, key } = this.#current;
    return { cert: certificate, key };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #renew(): void {
    const { issuedAtMs, untilMs } = this.#current;
    if (this.#options.nowMs() < issuedAtMs + (untilMs - issuedAtMs) * renewalShare) return;
    this.#current = this.#mint();
    for (const listener of this.#listeners) listener();
  }

  #mint(): OwnCertificate {
    const { keeper, subject, skewMs, nowMs, logger } = this.#options;
    const minted = mintOwn(keeper.issuing(), subject, nowMs(), skewMs);
    const fields = { commonName: subject.commonName, expiresAt: new Date(minted.untilMs).toISOString() };
    logger.info(fields, "own certificate issued");
    return minted;
  }
}
