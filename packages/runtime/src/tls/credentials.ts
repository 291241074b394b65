import type { X509Certificate } from "node:crypto";
import { describeError, type Reason, reasonOf } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Counter, Metrics } from "../metrics.ts";
import { validity } from "./certificate.ts";
import { expiryOf } from "./expiry.ts";
import { describeName, identityUri, type MeshName } from "./identity.ts";
import {
  checkContents,
  readContents,
  subjectOf,
  type TlsContents,
  type TlsFiles,
  type TlsMaterial,
} from "./material.ts";

export interface TlsCredentialsOptions {
  /** With `read`: only what the three are called in messages. */
  readonly files: TlsFiles;
  /** Where they come from when not from `files`; rejects with a `TlsError`. */
  readonly read?: () => Promise<TlsContents>;
  /** Whom the certificate must be for. */
  readonly self: MeshName;
  /** How often the files are looked at. */
  readonly reloadIntervalMs: number;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}

/**
 * The certificate, key and authorities of this program, as its files have them now. What is made with them later is made
 * with the newest; what was made before lives on.
 */
export class TlsCredentials {
  readonly #options: TlsCredentialsOptions;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  readonly #reloads: Counter<"outcome"> | undefined;
  #current: TlsMaterial;
  #currentDigest: string;
  /** Why the files as they are now are not used. */
  #failure: { readonly digest: string; readonly reason: Reason } | undefined;
  /** The stage of expiry that has been logged, by fingerprint. */
  #warned = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  /** Reads and checks the files. Rejects with a `TlsError` that names the file. */
  static async open(options: TlsCredentialsOptions): Promise<TlsCredentials> {
    const contents = await (options.read?.() ?? readContents(options.files));
    const material = checkContents(options.files, contents, options.self, options.nowMs());
    return new TlsCredentials(options, material, contents);
  }

  private constructor(options: TlsCredentialsOptions, material: TlsMaterial, { digest }: TlsContents) {
    this.#options = options;
    this.#current = material;
    this.#currentDigest = digest;
    this.#say(material, "certificate loaded");
    this.#warn();
    this.#reloads = options.metrics?.counter("cutline_certificate_reloads_total", {
      help: "Changed certificate files, by what became of them: replaced or failed",
      labels: ["outcome"],
    });
    options.metrics?.gauge("cutline_certificate_expiry_timestamp_seconds", {
      help: "When the certificate of this program, or an authority it trusts, expires",
      labels: ["certificate", "subject", "serial"],
      read: () =>
        this.#certificates().map(({ role, certificate }) => ({
          labels: { certificate: role, subject: subjectOf(certificate), serial: certificate.serialNumber },
          value: validity(certificate).untilMs / 1_000,
        })),
    });
  }

  get current(): TlsMaterial {
    return this.#current;
  }

  /** Begins to look at the files. */
  watch(): void {
    // Polled: Kubernetes swaps a link to a folder, and what watches a file does not see that.
    this.#timer ??= setInterval(() => void this.look(), this.#options.reloadIntervalMs);
    this.#timer.unref();
  }

  /** Ends it. Resolves when a look that has begun is over. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }

  /** Called with each new material, from now on. */
  onChange(listener: (material: TlsMaterial) => void): void {
    this.#listeners.add(listener);
  }

  /** Looks at the files now. Never rejects: what is wrong with them is logged, and the old material stays. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** What people should know: of certificates that end soon or have ended, and of files that could not be used. */
  get reasons(): readonly Reason[] {
    const reasons = this.#certificates().flatMap(({ role, certificate }) => {
      const { stage, expired, expiresAt } = expiryOf(certificate, this.#options.nowMs());
      if (stage === 0) return [];
      const what = role === "own" ? "the certificate" : `the authority ${subjectOf(certificate)}`;
      return [
        expired
          ? { code: "CertificateExpired", message: `${what} expired at ${expiresAt}; renew it` }
          : { code: "CertificateExpiring", message: `${what} expires at ${expiresAt}; renew it before` },
      ];
    });
    return this.#failure === undefined ? reasons : [...reasons, this.#failure.reason];
  }

  async #look(): Promise<void> {
    const { files, self, nowMs, read } = this.#options;
    let digest = "";
    try {
      const contents = await (read?.() ?? readContents(files));
      digest = contents.digest;
      // What could not be used is tried again each time: a certificate may have become valid meanwhile.
      if (digest !== this.#currentDigest) this.#replace(checkContents(files, contents, self, nowMs()), digest);
      this.#failure = undefined;
    } catch (error) {
      this.#fail(error, digest);
    }
    this.#warn();
  }

  /** The old material stays. The same failure is said once. */
  #fail(error: unknown, digest: string): void {
    const { files, logger, nowMs } = this.#options;
    const { code, message } = reasonOf(error, "TlsFileInvalid");
    const before = this.#failure;
    const reason = { code: "CertificateNotReloaded", message: `new certificate files are not used: ${message}` };
    this.#failure = { digest, reason };
    if (before?.digest === digest && before.reason.message === reason.message) return;
    this.#reloads?.add({ outcome: "failed" });
    const { expiresAt } = expiryOf(this.#current.certificate, nowMs());
    logger.error({ ...files, code, reason: describeError(error), expiresAt }, "new certificate files not used");
  }

  #replace(material: TlsMaterial, digest: string): void {
    this.#current = material;
    this.#currentDigest = digest;
    this.#reloads?.add({ outcome: "replaced" });
    this.#say(material, "certificate replaced");
    for (const listener of this.#listeners) listener(material);
  }

  #say(material: TlsMaterial, message: string): void {
    const { logger } = this.#options;
    const { expiresAt } = expiryOf(material.certificate, this.#options.nowMs());
    const authorities = material.authorities.map(subjectOf);
    const { serialNumber } = material.certificate;
    logger.info({ identity: identityUri(material.identity), serialNumber, expiresAt, authorities }, message);
    for (const reason of material.warnings) logger.warn({ reason }, "certificate files are doubtful");
  }

  #warn(): void {
    const { logger, nowMs, self } = this.#options;
    const warned = new Map<string, number>();
    for (const { role, certificate } of this.#certificates()) {
      const { stage, expired, expiresAt, leftMs } = expiryOf(certificate, nowMs());
      const key = certificate.fingerprint256;
      if (stage > (this.#warned.get(key) ?? 0)) {
        const fields = { certificate: role, subject: subjectOf(certificate), of: describeName(self), expiresAt };
        if (expired) logger.error(fields, "certificate expired: new connections fail until it is renewed");
        else logger.warn({ ...fields, leftMs }, "certificate expires soon: renew it");
      }
      warned.set(key, stage);
    }
    this.#warned = warned;
  }

  #certificates(): { readonly role: "own" | "authority"; readonly certificate: X509Certificate }[] {
    const { certificate, authorities } = this.#current;
    return [
      { role: "own", certificate },
      ...authorities.map((authority) => ({ role: "authority" as const, certificate: authority })),
    ];
  }
}
