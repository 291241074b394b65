/** How long a described error may be, in UTF-16 code units: an error may carry a peer's text, and a log line is no place for a payload. */
const errorDescriptionCharsMax = 500;

/** How many causes deep a description goes; a chain may be circular. */
const causeDepthMax = 4;

/** What a snapshot, an event or an API answer says about a failure. */
export interface Reason {
  /** CamelCase, stable: programs may compare it. */
  readonly code: string;
  /** What happened, to which thing, and what to do. For people. */
  readonly message: string;
}

export interface CutlineErrorOptions {
  readonly cause?: unknown;
}

/** The base of every error that Cutline itself raises. Sub-classes narrow `code` to their own union. */
export class CutlineError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options: CutlineErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
  }

  toReason(): Reason {
    return { code: this.code, message: bounded(this.message) };
  }
}

/** The reason for any thrown value; `fallbackCode` stands where it has no code of Cutline's own. */
export function reasonOf(error: unknown, fallbackCode: string): Reason {
  return error instanceof CutlineError ? error.toReason() : { code: fallbackCode, message: describeError(error) };
}

/**
 * One line about any thrown value: its code, its message and its causes, without stack and of bounded length
 * (`errorDescriptionCharsMax`). Never throws, whatever the value's getters do.
 */
export function describeError(error: unknown): string {
  try {
    return bounded(describeChain(error));
  } catch {
    // A hostile getter, proxy or toString; the description of an error must not become a second error.
    return "an error that cannot be described";
  }
}

function describeChain(error: unknown): string {
  const lines: string[] = [];
  let current = error;
  for (let depth = 0; depth < causeDepthMax && current !== undefined; depth += 1) {
    lines.push(describeOne(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return lines.join(": caused by ");
}

function describeOne(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.slice(0, causeDepthMax).map(describeOne).join("; ");
  }
  if (error instanceof Error) {
    const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
    const message = error.message === "" ? error.name : error.message;
    return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
  }
  if (typeof error === "string") {
    return error;
  }
  if (typeof error === "object" && error !== null) {
    return "message" in error && typeof error.message === "string"
      ? error.message
      : (JSON.stringify(error) ?? "object");
  }
  return String(error);
}

function bounded(text: string): string {
  return text.length <= errorDescriptionCharsMax ? text : `${text.slice(0, errorDescriptionCharsMax - 1)}…`;
}
