/** The numbers that bound the webhook. */
export interface WebhookLimits {
  /** An admission review: the API server's own limit for an object is half of it. Default 3 MiB. */
  readonly bodyBytesMax: number;
  /** From the first byte of a request to its last. Default 5000 ms: the API server waits for 10 s. */
  readonly requestTimeoutMs: number;
  /** Between requests of one connection; API servers keep theirs. Default 90000 ms. */
  readonly keepAliveTimeoutMs: number;
  /** Default 256. */
  readonly connectionsMax: number;
  /** What the cluster's version was is asked anew after this. Default 600000 ms. */
  readonly versionMs: number;
  /** How long closing waits for answers. Default 5000 ms. */
  readonly closeGraceMs: number;
}

export const defaultWebhookLimits: WebhookLimits = {
  bodyBytesMax: 3 * 1024 ** 2,
  requestTimeoutMs: 5_000,
  keepAliveTimeoutMs: 90_000,
  connectionsMax: 256,
  versionMs: 600_000,
  closeGraceMs: 5_000,
};
