import type { ServiceDefinition } from "@grpc/grpc-js";

const asItIs = (bytes: Buffer) => bytes;

/** Answers with what it was asked. Bytes without a codec, so that what is measured is the transport. */
export const echoService = {
  call: {
    path: "/bench.v1.Echo/Call",
    requestStream: false,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  },
} as const satisfies ServiceDefinition;

/** The name under which the echo server is known to agents; only they can bring a call there. */
export const echoAuthority = "echo.bench:9000";

/**
 * How an application with the SDK gives its state. `object`: for `JSON.stringify`, which writes all of it at the instant
 * of the capture. `bytes`: a buffer that changes in place, which is copied at the instant. `view`: an iterable over a
 * frozen view, which is written afterwards.
 */
export const stateForms = ["object", "bytes", "view"] as const;
export type StateForm = (typeof stateForms)[number];

/** What the load client is asked for. */
export interface LoadRequest {
  /** `direct`: to the server's own port. `agents`: through the agent beside the client. */
  readonly route: "direct" | "agents";
  /** Calls open at any time. */
  readonly concurrency: number;
  /** Ends earlier by `DELETE /`. */
  readonly durationMs: number;
  /** Default 100. */
  readonly messageBytes?: number;
  /** Calls begin at this rate, however long earlier ones take, with at most `concurrency` open. Default: at once. */
  readonly callsPerSecond?: number;
}

/** `GET /`: all calls since the program began. */
export interface LoadCount {
  readonly calls: number;
  /** Of the program's own clock. */
  readonly atMs: number;
}

/** What it saw. */
export interface LoadResult {
  readonly calls: number;
  readonly failures: number;
  readonly elapsedMs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}
