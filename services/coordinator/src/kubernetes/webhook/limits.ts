/** The numbers that bound the webhook. */
export interface WebhookLimits {
  /** An admission review: the API server's own limit for an object is half of it. Default 3 MiB. */
  readonly bodyBytesMax: number;
  /** Of all reviews that are under way. Default 48 MiB. */
  readonly bodiesBytesMax: number;
  /** From the first byte of a request to its last. Default 5000 ms: the API server waits for 10 s. */
  readonly requestTimeoutMs: number;
  /** Between requests of one connection; API servers keep theirs. Default 90000 ms. */
  readonly keepAliveTimeoutMs: number;
  /** At a time. Default 256. */
  readonly connectionsMax: number;
  /** At a time, of one address: an API server has one for each review that is under way. Default 128. */
  readonly connectionsPerAddressMax: number;
  /** What the cluster's version was is asked anew after this. Default 600000 ms. */
  readonly versionMs: number;
  /** How long closing waits for answers. Default 5000 ms. */
  readonly closeGraceMs: number;
}

export const defaultWebhookLimits: WebhookLimits = {
  bodyBytesMax: 3 * 1024 ** 2,
  bodiesBytesMax: 48 * 1024 ** 2,
  requestTimeoutMs: 5_000,
  keepAliveTimeoutMs: 90_000,
  connectionsMax: 256,
  connectionsPerAddressMax: 128,
  versionMs: 600_000,
  closeGraceMs: 5_000,
};
