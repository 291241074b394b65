export type ProxyBenchErrorCode = "ProgramMissing" | "ProgramFailed" | "CallsFailed" | "TlsMissing";

/** The bench could not measure; the message says which program, and what it said. */
export class ProxyBenchError extends Error {
  readonly code: ProxyBenchErrorCode;

  constructor(code: ProxyBenchErrorCode, message: string) {
    super(message);
    this.name = "ProxyBenchError";
    this.code = code;
  }
}
