import type { Finding } from "../check/findings.ts";
import type { Paint } from "./palette.ts";
import { escapeLine } from "./text.ts";
import { countOf } from "./values.ts";

const marks = { error: ["bad", "ERROR"], warning: ["warn", "WARN "], info: ["dim", "INFO "] } as const;

/** Each finding in two lines: what is wrong with which thing, and what to do. */
export function formatFindings(findings: readonly Finding[], paint: Paint): string {
  const lines = findings.flatMap(({ severity, code, object, message, advice }) => {
    const [colour, mark] = marks[severity];
    return [
      `${paint(colour, mark)}  ${escapeLine(`${object}: ${message}`)} ${paint("dim", `(${code})`)}`,
      `       ${escapeLine(advice)}`,
    ];
  });
  const count = (severity: Finding["severity"]) => findings.filter((finding) => finding.severity === severity).length;
  const [errors, warnings] = [count("error"), count("warning")];
  const verdict =
    errors + warnings === 0
      ? paint("good", "All is well.")
      : `${countOf(errors, "error")}, ${countOf(warnings, "warning")}`;
  return `${[...lines, ...(lines.length === 0 ? [] : [""]), verdict].join("\n")}\n`;
}
