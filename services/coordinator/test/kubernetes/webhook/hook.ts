import { request } from "node:https";
import { issueCertificate } from "@cutline/certificates";
import { defaultPolicy, type InjectionPolicy } from "@cutline/injection";
import { createMetrics, type Metrics } from "@cutline/runtime";
import type { ServingCertificate } from "../../../src/kubernetes/webhook/certificate.ts";
import { defaultWebhookLimits, type WebhookLimits } from "../../../src/kubernetes/webhook/limits.ts";
import { WebhookServer } from "../../../src/kubernetes/webhook/server.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";

export const policy: InjectionPolicy = {
  ...defaultPolicy,
  version: "1.2.3",
  image: "registry.example/cutline:1.2.3",
  meshAuthorities: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
};

const hourMs = 3_600_000;

interface Certified extends ServingCertificate {
  /** PEM: whom a caller is to believe. */
  readonly authority: string;
  /** Another certificate, by another authority. */
  replace(): void;
}

/** A certificate for `localhost`, with its authority. */
export function certified(): Certified {
  const issue = () => {
    const term = { fromMs: Date.now() - hourMs, untilMs: Date.now() + hourMs };
    const authority = issueCertificate({ kind: "authority", commonName: "a", uris: [], ...term });
    const peer = { kind: "peer", commonName: "webhook", uris: [], dnsNames: ["localhost"], issuer: authority } as const;
    return { authority, ...issueCertificate({ ...peer, ...term }) };
  };
  let now = issue();
  const listeners = new Set<() => void>();
  return {
    current: () => ({ cert: now.certificate, key: now.key }),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get authority() {
      return now.authority.certificate;
    },
    replace() {
      now = issue();
      for (const listener of listeners) listener();
    },
  };
}

export interface Hook {
  readonly url: string;
  readonly certificate: Certified;
  readonly metrics: Metrics;
  readonly lines: LogLine[];
  close(): Promise<void>;
}

export interface HookOptions {
  readonly policy?: () => Promise<InjectionPolicy>;
  readonly limits?: Partial<WebhookLimits>;
}

/** A webhook that serves on a port of its own. */
export async function openHook(options: HookOptions = {}): Promise<Hook> {
  const certificate = certified();
  const metrics = createMetrics();
  const lines: LogLine[] = [];
  const server = new WebhookServer({
    certificate,
    policy: options.policy ?? (async () => policy),
    limits: { ...defaultWebhookLimits, ...options.limits },
    metrics,
    logger: recorder(lines),
  });
  const port = await server.listen("127.0.0.1", 0);
  return { url: `https://localhost:${port}`, certificate, metrics, lines, close: () => server.close() };
}

export interface Answered {
  readonly status: number;
  readonly body: string;
}

/** One request on a connection of its own. `body`: text as it is, or what is to be JSON. */
export function ask(
  { url, certificate }: Pick<Hook, "url" | "certificate">,
  path: string,
  body?: unknown,
  ca = certificate.authority,
) {
  return new Promise<Answered>((resolve, reject) => {
    const sent = request(
      `${url}${path}`,
      {
        ca,
        agent: false,
        method: body === undefined ? "GET" : "POST",
        headers: { "content-type": "application/json" },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
        });
      },
    );
    sent.on("error", reject);
    sent.end(typeof body === "string" ? body : JSON.stringify(body));
  });
}
