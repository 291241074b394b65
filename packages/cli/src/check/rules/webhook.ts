import { X509Certificate } from "node:crypto";
import type { Facts, WebhookFacts } from "../facts.ts";
import { type Finding, notChecked } from "../findings.ts";

const warnMs = 7 * 24 * 3_600_000;
const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function webhookFindings(facts: Facts): Finding[] {
  const { webhooks, trial, coordinator } = facts;
  if ("unknown" in webhooks) return notChecked("MutatingWebhookConfigurations", webhooks);
  const findings = webhooks.value.flatMap((webhook) => bundleFindings(webhook, facts.nowMs));
  const isExpected =
    "value" in coordinator && coordinator.value.pods.some(({ settings }) => settings.CUTLINE_WEBHOOK === "true");
  if (webhooks.value.length === 0) {
    if (!isExpected) return findings;
    const message = "the coordinator serves the webhook, and no MutatingWebhookConfiguration leads to it";
    const advice = "install the chart with injection.enabled=true, or inject by hand with cutline inject";
    return [
      ...findings,
      { severity: "error", code: "WebhookMissing", object: "MutatingWebhookConfigurations", message, advice },
    ];
  }
  if (trial === undefined) return findings;
  const object = webhooks.value.map(({ configuration }) => `MutatingWebhookConfiguration ${configuration}`).join(", ");
  if ("unknown" in trial) {
    const failed = trial.unknown.includes("failed calling webhook");
    if (!failed) return [...findings, ...notChecked(object, trial)];
    const advice =
      "see that the webhook's Service has ready endpoints, and that the API server reaches port 7443 of the coordinator";
    return [...findings, { severity: "error", code: "WebhookFails", object, message: trial.unknown, advice }];
  }
  if (trial.value === "injected") return findings;
  const message = "a pod that asks for an agent, created for trial, got none";
  const advice =
    "see that the namespace matches the configuration's namespaceSelector, and that the webhook answers (failurePolicy Ignore hides it)";
  return [...findings, { severity: "error", code: "WebhookDoesNothing", object, message, advice }];
}

function bundleFindings({ configuration, service, caBundle }: WebhookFacts, nowMs: number): Finding[] {
  const object = `MutatingWebhookConfiguration ${configuration}`;
  const wrong = (severity: Finding["severity"], code: string, message: string): Finding => ({
    severity,
    code,
    object,
    message,
    advice: "the coordinator (or cert-manager) writes it: see its log, and whether it may patch this configuration",
  });
  if (caBundle === "")
    return [wrong("error", "WebhookWithoutAuthority", `it has no caBundle, so calls to ${service} fail`)];
  const blocks = caBundle.match(pemBlock) ?? [];
  const ends = blocks.flatMap(endOf);
  if (ends.length === 0)
    return [wrong("error", "WebhookAuthorityInvalid", "its caBundle holds no certificate that can be read")];
  const lastMs = Math.max(...ends);
  const until = new Date(lastMs).toISOString();
  if (lastMs <= nowMs)
    return [wrong("error", "WebhookAuthorityExpired", `the newest certificate of its caBundle ended at ${until}`)];
  if (lastMs - nowMs < warnMs) return [wrong("warning", "WebhookAuthorityExpires", `its caBundle ends at ${until}`)];
  return [];
}

function endOf(pem: string): number[] {
  try {
    return [Date.parse(new X509Certificate(pem).validTo)];
  } catch {
    // Not a certificate: the caller says so when none is.
    return [];
  }
}
