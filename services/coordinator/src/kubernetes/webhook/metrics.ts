import type { Metrics } from "@cutline/runtime";

type ReviewOutcome = "injected" | "skipped" | "refused" | "invalid" | "failed";

export interface WebhookMetrics {
  /** `code`: why; empty for `injected`. `seconds`: where a decision was made. */
  reviewed(outcome: ReviewOutcome, code: string, seconds?: number): void;
}

export function declareWebhookMetrics(metrics: Metrics): WebhookMetrics {
  const reviews = metrics.counter("cutline_webhook_reviews_total", {
    help: "Admission reviews, by what came of them and why",
    labels: ["outcome", "code"],
  });
  const durations = metrics.histogram("cutline_webhook_review_seconds", {
    help: "How long the decision about a pod took",
    labels: [],
  });
  return {
    reviewed(outcome, code, seconds) {
      reviews.add({ outcome, code });
      if (seconds !== undefined) durations.observe({}, seconds);
    },
  };
}
