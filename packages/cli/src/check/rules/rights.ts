import type { Facts } from "../facts.ts";
import type { Finding } from "../findings.ts";

export function rightFindings({ rights }: Facts): Finding[] {
  const findings = rights.flatMap(({ who, what, why, allowed }): Finding[] => {
    if ("unknown" in allowed || allowed.value) return [];
    const isUser = who === "user";
    return [
      {
        severity: isUser ? "warning" : "error",
        code: isUser ? "RightMissing" : "CoordinatorRightMissing",
        object: isUser ? "this user" : "the coordinator's service account",
        message: `may not ${what}`,
        advice: isUser
          ? `ask for a role that allows it: ${why} needs it`
          : `install the chart's roles: ${why} needs it`,
      },
    ];
  });
  const unknown = new Set(
    rights.flatMap(({ who, allowed }) => ("unknown" in allowed ? [`${who} ${allowed.unknown}`] : [])),
  );
  for (const text of unknown) {
    const at = text.indexOf(" ");
    const object = text.slice(0, at) === "user" ? "rights of this user" : "rights of the coordinator's service account";
    findings.push({
      severity: "info",
      code: "NotChecked",
      object,
      message: text.slice(at + 1),
      advice: "let somebody check who may create subjectaccessreviews",
    });
  }
  return findings;
}
