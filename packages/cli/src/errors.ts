/** What the program ends with; scripts may rely on these. */
export const exitCodes = {
  ok: 0,
  /** The snapshot ended Failed or Aborted, `verify` found a violation, `diff` a difference, or `check` an error. */
  failed: 1,
  usage: 2,
  notFound: 3,
  /** The coordinator cannot be reached, or is not ready. */
  unavailable: 4,
  /** Too many, too soon, in conflict, or not allowed. */
  refused: 5,
  /** Completed, but not exact; only with --require-exact. */
  notExact: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeHelp = `
Exit codes:
  0    done
  1    the snapshot ended Failed or Aborted, verify found a violation, diff a difference, or check an error
  2    the command line is wrong
  3    no such snapshot, process, channel or file
  4    the coordinator cannot be reached, or is not ready
  5    refused: too many snapshots, a conflict, or not allowed
  6    the snapshot is Completed but not exact (only with --require-exact)
  130  interrupted
`;

/** An error with its exit code. The message says what happened, to which thing, and what to do. */
export class CliError extends Error {
  /** CamelCase. */
  readonly code: string;
  readonly exitCode: ExitCode;
  /** Further lines below the message. */
  readonly details: readonly string[];

  constructor(
    code: string,
    exitCode: ExitCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: readonly string[] } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "CliError";
    this.code = code;
    this.exitCode = exitCode;
    this.details = options.details ?? [];
  }
}

export function interrupted(message = "interrupted"): CliError {
  return new CliError("Interrupted", exitCodes.interrupted, message);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's error code (`ENOENT`, `ECONNREFUSED`, ...) of an error or the first of its causes that has one. */
export function systemCodeOf(error: unknown): string | undefined {
  const causeDepthMax = 4;
  let current = error;
  for (let depth = 0; depth < causeDepthMax && current instanceof Error; depth += 1) {
    if ("code" in current && typeof current.code === "string") return current.code;
    current = current.cause;
  }
  return undefined;
}
