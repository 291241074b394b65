/** The numbers that bound the keeping of authorities and the issuing of certificates. */
export interface IdentityLimits {
  /** Between two looks at a Secret. Default 60000 ms. */
  readonly rereadMs: number;
  /** What is known of a Secret may be so old when something is issued by it. Default 300000 ms. */
  readonly staleMsMax: number;
  /** How far clocks may differ; what is issued begins this much earlier. Default 300000 ms. */
  readonly skewMs: number;
  /** Tries of one look when other replicas write at the same time. Default 5. */
  readonly conflictsMax: number;
  /** How long a start waits for the Secrets. Default 25000 ms. */
  readonly startMsMax: number;
  /** After a failed look. Doubled each time, up to `rereadMs`. Default 500 ms. */
  readonly backOffMsMin: number;
  /** The body of a request. Default 32 KiB. */
  readonly requestBytesMax: number;
  /** From the first byte of a request to its last. Default 10000 ms. */
  readonly requestTimeoutMs: number;
  /** Connections at a time. Default 256. */
  readonly connectionsMax: number;
  /** Connections of one address at a time; a pod needs one. Default 64. */
  readonly connectionsPerAddressMax: number;
  /** Questions to the API server at a time; one more is told to come back. Default 16. */
  readonly reviewsMax: number;
  /** Certificates that one pod gets within `windowMs`. Default 10. */
  readonly perPodMax: number;
  /** Default 600000 ms, and never longer than a certificate lives. */
  readonly windowMs: number;
  /** Pods whose certificates are counted. Default 20000. */
  readonly podsMax: number;
}

export const defaultIdentityLimits: IdentityLimits = {
  rereadMs: 60_000,
  staleMsMax: 300_000,
  skewMs: 300_000,
  conflictsMax: 5,
  startMsMax: 25_000,
  backOffMsMin: 500,
  requestBytesMax: 32 * 1024,
  requestTimeoutMs: 10_000,
  connectionsMax: 256,
  connectionsPerAddressMax: 64,
  reviewsMax: 16,
  perPodMax: 10,
  windowMs: 600_000,
  podsMax: 20_000,
};
