import type { FastifyError, FastifyRequest } from "fastify";
import { StateError } from "../state/errors.ts";
import { StoreError, type StoreErrorCode } from "../store/port.ts";
import type { HttpLimits } from "./limits.ts";
import { type FieldError, HttpProblem, retryAfter } from "./problems.ts";

/** A body may be wrong in many places; so many are told. */
const fieldErrorsMax = 32;

/** When a store that does not answer is worth another try. */
const storeRetryMs = 2_000;

/** The answer to any thrown value. What was not foreseen becomes a 500 that says nothing about its cause. */
export function problemFor(error: unknown, request: FastifyRequest, limits: HttpLimits): HttpProblem {
  if (error instanceof HttpProblem) {
    return error;
  }
  if (error instanceof StoreError) {
    return storeProblem(error.code);
  }
  if (error instanceof StateError) {
    return stateProblem(error);
  }
  return error instanceof Error ? frameworkProblem(error as FastifyError, request, limits) : internal();
}

function stateProblem(error: StateError): HttpProblem {
  return new HttpProblem(500, error.code, `The state cannot be given: ${error.message}.`);
}

function storeProblem(code: StoreErrorCode): HttpProblem {
  switch (code) {
    case "StoreBadCursor":
      return invalid([{ field: "querystring/cursor", message: "is not the next of an earlier page" }]);
    case "StoreCorrupt":
    case "StorePartCorrupt":
    case "StorePartMissing":
      return new HttpProblem(500, "StateCorrupt", "What the store holds of this snapshot is damaged.");
    default:
      return new HttpProblem(503, "StoreUnavailable", "The store does not answer at the moment; try again later.", {
        headers: retryAfter(storeRetryMs),
      });
  }
}

function frameworkProblem(error: FastifyError, request: FastifyRequest, limits: HttpLimits): HttpProblem {
  if (error.validation !== undefined) {
    return invalid(fieldErrors(error));
  }
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new HttpProblem(413, "BodyTooLarge", tooLargeDetail(request, limits.bodyBytesMax));
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new HttpProblem(415, "UnsupportedMediaType", "The body must be application/json.");
    case "FST_ERR_HANDLER_TIMEOUT":
      return new HttpProblem(503, "TimedOut", `No answer was found within ${limits.handlerTimeoutMs} ms.`, {
        headers: retryAfter(storeRetryMs),
      });
    case "FST_ERR_MAX_PARAM_LENGTH":
      return new HttpProblem(404, "NotFound", "A part of the path is longer than any id.");
    case "FST_ERR_BAD_URL":
      return new HttpProblem(400, "BadUrl", "The path is not a valid URL.");
    default:
      return error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500
        ? new HttpProblem(
            error.statusCode,
            "BadRequest",
            "The request cannot be read; its body must be valid JSON without a __proto__ key.",
          )
        : internal();
  }
}

function internal(): HttpProblem {
  return new HttpProblem(500, "Internal", "Something went wrong here; the coordinator's log says what.");
}

function tooLargeDetail(request: FastifyRequest, bodyBytesMax: number): string {
  const announced = request.headers["content-length"];
  const size = announced === undefined ? `more than ${bodyBytesMax}` : announced;
  return `The body has ${size} bytes; at most ${bodyBytesMax} are taken.`;
}

export function invalid(errors: readonly FieldError[]): HttpProblem {
  const [first] = errors;
  const detail = first === undefined ? "The request is not valid." : `${first.field} ${first.message}.`;
  return new HttpProblem(400, "Invalid", detail, { errors });
}

function fieldErrors(error: FastifyError): FieldError[] {
  const place = error.validationContext ?? "request";
  // What is wrong with a name is said once, at the name.
  const causes = (error.validation ?? []).filter((each) => !each.schemaPath.includes("/propertyNames/"));
  return causes.slice(0, fieldErrorsMax).map((each) => {
    const named = each.params.missingProperty ?? each.params.additionalProperty ?? each.params.propertyName;
    const leaf = typeof named === "string" ? `/${pointerToken(named)}` : "";
    return { field: `${place}${each.instancePath}${leaf}`, message: each.message ?? "is not valid" };
  });
}

/** A name from the caller may be as long as its body. */
const pointerTokenCharsMax = 128;

function pointerToken(name: string): string {
  return name.slice(0, pointerTokenCharsMax).replaceAll("~", "~0").replaceAll("/", "~1");
}
