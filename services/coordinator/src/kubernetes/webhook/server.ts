import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { type InjectionPolicy, inject, type Json, type Outcome } from "@cutline/injection";
import { CutlineError, type Logger, type Metrics, reasonOf, shareConnections } from "@cutline/runtime";
import Fastify, { type FastifyInstance } from "fastify";
import { BodyBudget } from "./body-budget.ts";
import type { ServingCertificate } from "./certificate.ts";
import type { WebhookLimits } from "./limits.ts";
import { declareWebhookMetrics, type WebhookMetrics } from "./metrics.ts";
import { answerOf, type ReviewRequest, readReview } from "./review.ts";

export interface WebhookOptions {
  readonly certificate: ServingCertificate;
  /** As it is at this moment; rejects while it is not known: the API server then does what its failure policy says. */
  policy(): Promise<InjectionPolicy>;
  readonly limits: WebhookLimits;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

class WebhookError extends CutlineError<"ListenFailed"> {}

/**
 * The mutating webhook: `POST /inject` takes an AdmissionReview and answers with one. It keeps nothing, so it may be
 * asked twice about a pod, and about one that is never made.
 */
export class WebhookServer {
  readonly #options: WebhookOptions;
  readonly #app: FastifyInstance<Server>;
  readonly #metrics: WebhookMetrics;
  readonly #bodies: BodyBudget;
  #endReload: (() => void) | undefined;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#metrics = declareWebhookMetrics(options.metrics);
    const { certificate, limits } = options;
    this.#app = Fastify({
      https: {
        ...certificate.current(),
        minVersion: "TLSv1.2",
        handshakeTimeout: limits.requestTimeoutMs,
        headersTimeout: limits.requestTimeoutMs,
        // Node looks every 30 s otherwise, whatever the time-outs are.
        connectionsCheckingInterval: Math.ceil(limits.requestTimeoutMs / 2),
      },
      bodyLimit: limits.bodyBytesMax,
      requestTimeout: limits.requestTimeoutMs,
      connectionTimeout: limits.keepAliveTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      forceCloseConnections: "idle",
      return503OnClosing: false,
    });
    shareConnections(this.#app.server, limits);
    this.#bodies = new BodyBudget(limits.bodyBytesMax, limits.bodiesBytesMax);
    this.#route();
  }

  /** Resolves with the port, which is the one the system chose when 0 was asked for. */
  async listen(host: string, port: number): Promise<number> {
    try {
      await this.#app.listen({ host, port });
    } catch (error) {
      const message = `cannot listen on ${host}:${port} for the webhook; set CUTLINE_WEBHOOK_PORT to a free port, or 0 for any`;
      throw new WebhookError("ListenFailed", message, { cause: error });
    }
    this.#endReload = this.#options.certificate.onChange(() => this.#reload());
    this.#reload();
    return (this.#app.server.address() as AddressInfo).port;
  }

  /** Lets answers that are on their way finish, within the grace period. */
  async close(): Promise<void> {
    this.#endReload?.();
    const timer = setTimeout(() => this.#app.server.closeAllConnections(), this.#options.limits.closeGraceMs);
    await this.#app.close();
    clearTimeout(timer);
  }

  /** Connections that are up keep theirs. */
  #reload(): void {
    this.#app.server.setSecureContext({ ...this.#options.certificate.current(), minVersion: "TLSv1.2" });
  }

  #route(): void {
    const { logger, limits } = this.#options;
    this.#app.get("/livez", async () => ({ outcome: "live" }));
    this.#app.addHook("onRequest", async (request, reply) => {
      if (request.method !== "POST" || this.#bodies.admit(request, reply)) return;
      this.#metrics.reviewed("failed", "TooManyReviews");
      const message = `reviews of ${limits.bodiesBytesMax} bytes are under way; ask again`;
      // Its body is not read, so nothing can follow it.
      return await reply.code(503).header("connection", "close").send({ code: "TooManyReviews", message });
    });
    this.#app.post("/inject", async ({ body }, reply) => {
      const read = readReview(body as Json);
      if (read.outcome === "invalid") {
        this.#metrics.reviewed("invalid", "ReviewInvalid");
        return await reply.code(400).send({ code: "ReviewInvalid", message: read.message });
      }
      return answerOf(read.request, await this.#decide(read.request));
    });
    this.#app.setErrorHandler((error, _request, reply) => {
      const { code, message } = reasonOf(error, "ReviewFailed");
      const statusCode = (error as { statusCode?: number }).statusCode ?? 500;
      this.#metrics.reviewed(statusCode < 500 ? "invalid" : "failed", code);
      if (statusCode >= 500) logger.error({ error }, "admission review failed");
      return reply.code(statusCode).send({ code, message });
    });
  }

  /** `undefined`: it is no new pod. */
  async #decide(request: ReviewRequest): Promise<Outcome | undefined> {
    const { pod, namespace, name, dryRun } = request;
    if (pod === undefined) {
      this.#metrics.reviewed("skipped", "NoNewPod");
      return undefined;
    }
    const beganAtMs = performance.now();
    const outcome = inject({ pod, namespace, policy: await this.#options.policy() });
    const seconds = (performance.now() - beganAtMs) / 1_000;
    const code = codeOf(outcome);
    this.#metrics.reviewed(outcome.outcome === "patch" ? "injected" : outcome.outcome, code, seconds);
    const message = outcome.outcome === "refused" ? outcome.message : undefined;
    const { logger } = this.#options;
    logger.info({ namespace, pod: name, outcome: outcome.outcome, code, reason: message, dryRun }, "pod reviewed");
    return outcome;
  }
}

function codeOf(outcome: Outcome): string {
  if (outcome.outcome === "refused") return outcome.code;
  return outcome.outcome === "skipped" ? outcome.reason : "";
}
