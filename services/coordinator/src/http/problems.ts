import { STATUS_CODES } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";

export const problemType = "application/problem+json; charset=utf-8";

export interface FieldError {
  /** Where it stands: `body/labels`, `querystring/limit`, `headers/idempotency-key`. */
  readonly field: string;
  readonly message: string;
}

export interface ProblemDetails {
  readonly errors?: readonly FieldError[];
  readonly reasons?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer by RFC 9457. `detail` is for the caller: it never tells of the inside. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: ProblemDetails;

  constructor(status: number, code: string, detail: string, details: ProblemDetails = {}) {
    super(detail);
    this.name = "HttpProblem";
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** `instance` is cut to this many characters. */
const instanceCharsMax = 256;

export function problemBody(problem: HttpProblem, url: string): object {
  return {
    type: `urn:cutline:problem:${problem.code}`,
    title: STATUS_CODES[problem.status] ?? "Error",
    status: problem.status,
    detail: problem.message,
    instance: (url.split("?", 1)[0] ?? "").slice(0, instanceCharsMax),
    code: problem.code,
    ...(problem.details.errors !== undefined && { errors: problem.details.errors }),
    ...(problem.details.reasons !== undefined && { reasons: problem.details.reasons }),
  };
}

export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: HttpProblem): FastifyReply {
  // A handler may have described the body it did not come to send.
  for (const name of ["content-length", "content-disposition", "etag"]) {
    reply.removeHeader(name);
  }
  return reply
    .code(problem.status)
    .headers(problem.details.headers ?? {})
    .header("cache-control", "no-store")
    .type(problemType)
    .send(problemBody(problem, request.url));
}

export function retryAfter(milliseconds: number): Record<string, string> {
  return { "retry-after": String(Math.max(1, Math.ceil(milliseconds / 1_000))) };
}

export function snapshotMissing(): HttpProblem {
  return new HttpProblem(404, "SnapshotNotFound", "There is no snapshot with this id.");
}

export function methodNotAllowed(method: string, allowed: readonly string[]): HttpProblem {
  const allow = allowed.join(", ");
  return new HttpProblem(405, "MethodNotAllowed", `${method} is not possible here; possible are ${allow}.`, {
    headers: { allow },
  });
}
