import type { Certificate } from "./certificates.ts";
import type { Program } from "./program.ts";

/** Two programs between load and echo; none of them for direct calls. */
export interface Pair {
  readonly hops: readonly Program[];
  /** Of 127.0.0.1, where the load dials. */
  readonly port: number;
  /** What calls are made to; agents look it up. */
  readonly authority: string;
}

/** What a pair is asked for. */
export interface PairRequest {
  readonly echoPort: number;
  /** Of the first and of the second hop; `undefined`: no TLS between them. */
  readonly certificates: readonly [Certificate, Certificate] | undefined;
}
