import { CliError, type ExitCode, exitCodes } from "./errors.ts";
import { arrayOf, asRecord, stringOf, textOf } from "./json.ts";

/** How many of a problem's `errors` or `reasons` are shown. */
const fieldErrorsShownMax = 20;

/** The error for an answer that is none of the 2xx: RFC 9457 where the server speaks it, the status line else. */
export function problemError(what: string, status: number, retryAfter: string | null, body: unknown): CliError {
  const problem = asRecord(body);
  const title = textOf(problem?.title);
  const detail = textOf(problem?.detail);
  const code = textOf(problem?.code) ?? `Http${status}`;
  const said = detail ?? title ?? `the coordinator answered with HTTP status ${status}`;
  const again = retryAfterText(retryAfter);
  const details = Array.isArray(problem?.errors)
    ? problem.errors.slice(0, fieldErrorsShownMax).map((entry) => {
        const record = asRecord(entry);
        return [textOf(record?.field), textOf(record?.message)].filter((part) => part !== undefined).join(": ");
      })
    : arrayOf(problem?.reasons).slice(0, fieldErrorsShownMax).map(stringOf);
  return new CliError(code, exitCodeOf(status), `${what}: ${said}${again}`, { details });
}

function exitCodeOf(status: number): ExitCode {
  if (status === 404 || status === 410) return exitCodes.notFound;
  if (status === 400 || status === 413 || status === 415 || status === 422) return exitCodes.usage;
  if (status >= 400 && status < 500) return exitCodes.refused;
  return exitCodes.unavailable;
}

/** Retry-After is a count of seconds or a date. */
function retryAfterText(retryAfter: string | null): string {
  if (retryAfter === null) return "";
  return /^\d+$/.test(retryAfter) ? `; try again in ${retryAfter} s` : `; try again after ${retryAfter}`;
}
