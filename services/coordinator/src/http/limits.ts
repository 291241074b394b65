import { type StateLimits, stateLimitsDefault } from "../state/limits.ts";

export interface HttpLimits {
  readonly bodyBytesMax: number;
  readonly headerBytesMax: number;
  readonly connectionsMax: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the end of its body. */
  readonly requestTimeoutMs: number;
  /** A call that does not stream answers 503 after this. */
  readonly handlerTimeoutMs: number;
  /** A connection on which no byte moves is cut after this: also a reader that has stopped reading a state. */
  readonly idleTimeoutMs: number;
  /** Between two requests of one connection. */
  readonly keepAliveTimeoutMs: number;
  /** What still runs this long after the beginning of `close()` is cut. */
  readonly closeGraceMs: number;
  /** States that are read at the same time; one more is told to come back. */
  readonly stateReadsMax: number;
  readonly state: StateLimits;
}

export const httpLimitsDefault: HttpLimits = {
  bodyBytesMax: 64 * 1024,
  headerBytesMax: 16 * 1024,
  connectionsMax: 1_024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  handlerTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  keepAliveTimeoutMs: 10_000,
  closeGraceMs: 10_000,
  stateReadsMax: 8,
  state: stateLimitsDefault,
};
