import type { X509Certificate } from "node:crypto";
import { timeText, validity } from "./certificate.ts";

/**
 * When a certificate is warned of: at each of these, once. By its share of life, because some live an hour and some ten
 * years, but not earlier than so long before the end.
 */
export const expiryWarnings = [
  { share: 0.25, leftMsMax: 30 * 86_400_000 },
  { share: 0.1, leftMsMax: 7 * 86_400_000 },
  { share: 0.02, leftMsMax: 86_400_000 },
] as const;

export interface ExpiryStanding {
  /** 0: nothing to say. Then one more for each warning passed, and one more when it is over. */
  readonly stage: number;
  readonly expired: boolean;
  readonly expiresAt: string;
  readonly leftMs: number;
}

export function expiryOf(certificate: X509Certificate, nowMs: number): ExpiryStanding {
  const { fromMs, untilMs } = validity(certificate);
  const leftMs = untilMs - nowMs;
  const lifeMs = untilMs - fromMs;
  const passed = expiryWarnings.filter(({ share, leftMsMax }) => leftMs <= Math.min(share * lifeMs, leftMsMax)).length;
  const expired = leftMs <= 0;
  return { stage: expired ? expiryWarnings.length + 1 : passed, expired, expiresAt: timeText(untilMs), leftMs };
}
