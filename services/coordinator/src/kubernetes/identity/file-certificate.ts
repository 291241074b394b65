import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CutlineError, describeError, type Logger } from "@cutline/runtime";
import type { ServingCertificate } from "../webhook/certificate.ts";

export interface FileCertificateOptions {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** How often the files are looked at. */
  readonly rereadMs: number;
  readonly logger: Logger;
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** The webhook's certificate from files that somebody else renews, as cert-manager does. */
export class FileCertificate implements ServingCertificate {
  readonly #options: FileCertificateOptions;
  readonly #listeners = new Set<() => void>();
  #current: Pair;
  #timer: NodeJS.Timeout | undefined;
  #said = "";

  /** Rejects with `CertificateFileInvalid`. */
  static async open(options: FileCertificateOptions): Promise<FileCertificate> {
    return new FileCertificate(options, await readPair(options));
  }

  private constructor(options: FileCertificateOptions, pair: Pair) {
    this.#options = options;
    this.#current = pair;
  }

  current(): Pair {
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Begins to look at the files. */
  watch(): void {
    // Polled: Kubernetes swaps a link to a folder, and what watches a file does not see that.
    this.#timer ??= setInterval(() => void this.look(), this.#options.rereadMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects: files that cannot be used are logged, and the old ones stay in use. */
  async look(): Promise<void> {
    const { logger, certificateFile } = this.#options;
    try {
      const pair = await readPair(this.#options);
      this.#said = "";
      if (pair.cert === this.#current.cert && pair.key === this.#current.key) return;
      this.#current = pair;
      logger.info({ certificateFile }, "certificate of the webhook replaced");
      for (const listener of this.#listeners) listener();
    } catch (error) {
      const text = describeError(error);
      if (text === this.#said) return;
      this.#said = text;
      logger.error({ certificateFile, error }, "new certificate files of the webhook not used");
    }
  }
}

async function readPair({ certificateFile, keyFile }: FileCertificateOptions): Promise<Pair> {
  try {
    const [cert, key] = await Promise.all([readFile(certificateFile, "utf8"), readFile(keyFile, "utf8")]);
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
  } catch (error) {
    const message = `${certificateFile} and ${keyFile} cannot be used: ${describeError(error)}`;
    throw new CutlineError("CertificateFileInvalid", message, { cause: error });
  }
  throw new CutlineError("CertificateFileInvalid", `the key in ${keyFile} is not that of ${certificateFile}`);
}
