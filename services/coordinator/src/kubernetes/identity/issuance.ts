import { X509Certificate } from "node:crypto";
import { readRequest, signCertificate } from "@cutline/certificates";
import { type Counter, identityUri, type Logger, type Metrics, timeText } from "@cutline/runtime";
import { Repeats } from "../../repeats.ts";
import { reviewToken } from "../access/reviews.ts";
import type { KubeClient } from "../api/client.ts";
import type { AuthorityKeeper, Issuing } from "./keeper.ts";
import type { IdentityLimits } from "./limits.ts";
import { termOf } from "./mint.ts";
import { type BoundPod, podOf } from "./pod.ts";
import { PodQuota } from "./quota.ts";

export interface IssuanceOptions {
  readonly client: KubeClient;
  readonly keeper: AuthorityKeeper;
  readonly trustDomain: string;
  /** For whom a token must be meant. */
  readonly audience: string;
  /** Whose pods get certificates; empty: all. */
  readonly namespaces: readonly string[];
  readonly limits: IdentityLimits;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}

export interface IssuanceRequest {
  readonly token: string;
  /** PEM, PKCS#10. */
  readonly csr: string;
  /** Of the connection, for the log. */
  readonly address: string;
}

export type IssuanceRefusalCode =
  | "TokenRefused"
  | "TokenNotBound"
  | "NamespaceNotServed"
  | "RequestInvalid"
  | "TooManyCertificates"
  | "TooManyRequests"
  | "KubernetesUnavailable"
  | "AuthorityUnavailable";

export type IssuanceOutcome =
  /** PEM, and everybody to believe from now on. */
  | { readonly outcome: "issued"; readonly certificate: string; readonly authorities: string }
  | {
      readonly outcome: "refused";
      readonly code: IssuanceRefusalCode;
      readonly message: string;
      readonly retryAfterMs?: number;
    };

type Refusal = Extract<IssuanceOutcome, { outcome: "refused" }>;

const retryMs = 2_000;

/**
 * Issues certificates to pods. Who it is, the API server says by the token: nothing of the request names anybody, so
 * nobody can ask for another's name. No answer of the API server is kept: a pod that is gone gets nothing.
 */
export class Issuance {
  readonly #options: IssuanceOptions;
  readonly #quota: PodQuota;
  readonly #repeats = new Repeats();
  readonly #counter: Counter<"outcome"> | undefined;
  #reviews = 0;

  constructor(options: IssuanceOptions) {
    this.#options = options;
    this.#quota = new PodQuota(options.limits);
    this.#counter = options.metrics?.counter("cutline_certificates_issued_total", {
      help: "Requests for process certificates, by what became of them: issued, or the code of the refusal",
      labels: ["outcome"],
    });
  }

  /** Never rejects. */
  async issue(request: IssuanceRequest): Promise<IssuanceOutcome> {
    const outcome = await this.#issue(request);
    this.#counter?.add({ outcome: outcome.outcome === "issued" ? "issued" : outcome.code });
    if (outcome.outcome === "refused") this.#sayRefused(request.address, outcome);
    return outcome;
  }

  async #issue({ token, csr, address }: IssuanceRequest): Promise<IssuanceOutcome> {
    const reviewed = await this.#review(token);
    if (reviewed.outcome === "refused") return reviewed;
    const { pod } = reviewed;
    const { limits, nowMs, keeper, logger } = this.#options;
    const waitMs = this.#quota.take(pod.podUid, nowMs());
    if (waitMs > 0) {
      const message = `${pod.processId} has had ${limits.perPodMax} certificates within ${limits.windowMs} ms; see why it asks so often`;
      return { outcome: "refused", code: "TooManyCertificates", message, retryAfterMs: waitMs };
    }
    const read = readRequest(csr);
    if (read.outcome === "invalid") return { outcome: "refused", code: "RequestInvalid", message: read.message };
    let issuing: Issuing;
    let authorities: string;
    try {
      issuing = keeper.issuing();
      authorities = keeper.bundle;
    } catch (error) {
      logger.error({ error }, "no certificate can be issued");
      const message = "this replica does not know its authority well enough; see its log";
      return { outcome: "refused", code: "AuthorityUnavailable", message, retryAfterMs: retryMs };
    }
    const term = termOf(issuing, nowMs(), limits.skewMs);
    const certificate = signCertificate(
      { kind: "peer", commonName: pod.processId, uris: [this.#uriOf(pod)], ...term, issuer: issuing.issuer },
      read.publicKey,
    );
    const { serialNumber } = new X509Certificate(certificate);
    logger.info({ ...pod, serialNumber, expiresAt: timeText(term.untilMs), address }, "certificate issued");
    return { outcome: "issued", certificate, authorities };
  }

  async #review(token: string): Promise<{ readonly outcome: "bound"; readonly pod: BoundPod } | Refusal> {
    const { client, audience, namespaces, limits, logger } = this.#options;
    if (this.#reviews >= limits.reviewsMax) {
      const message = `${limits.reviewsMax} tokens are being reviewed already`;
      return { outcome: "refused", code: "TooManyRequests", message, retryAfterMs: retryMs };
    }
    this.#reviews += 1;
    try {
      const reviewed = await reviewToken(client, token, audience);
      if (reviewed.outcome === "refused") return { ...reviewed, code: "TokenRefused" };
      return podOf(reviewed.user, namespaces);
    } catch (error) {
      logger.error({ error }, "a token could not be reviewed");
      const message = "the API server of Kubernetes does not answer, so nobody knows whose token it is";
      return { outcome: "refused", code: "KubernetesUnavailable", message, retryAfterMs: retryMs };
    } finally {
      this.#reviews -= 1;
    }
  }

  #uriOf({ processId }: BoundPod): string {
    return identityUri({ kind: "process", processId, trustDomain: this.#options.trustDomain });
  }

  #sayRefused(address: string, { code, message }: Refusal): void {
    const { logger, nowMs } = this.#options;
    // Its port is another one each time.
    const level = this.#repeats.isDue(`${address.replace(/:\d+$/, "")} ${code}`, nowMs()) ? "warn" : "debug";
    logger[level]({ address, code, reason: message }, "certificate refused");
  }
}
