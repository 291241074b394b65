import { knowsNativeSidecars } from "@cutline/injection";
import { expectedDefinitions } from "../expected.ts";
import type { Facts } from "../facts.ts";
import { type Finding, notChecked } from "../findings.ts";

/** Fields named in one message. */
const fieldsNamedMax = 5;

export function clusterFindings({ server, definitions }: Facts): Finding[] {
  const findings = [...notChecked("API server", server)];
  if ("value" in server && !knowsNativeSidecars(server.value)) {
    const { major, minor } = server.value;
    findings.push({
      severity: "info",
      code: "NoNativeSidecars",
      object: "API server",
      message: `Kubernetes ${major}.${minor} knows no native sidecars: the agent is an ordinary container, and Jobs with one do not end by themselves`,
      advice: "upgrade to Kubernetes 1.29 or newer",
    });
  }
  for (const { name, found } of definitions) {
    const object = `CustomResourceDefinition ${name}`;
    const apply = "kubectl apply --server-side -f the chart's crds/ (helm does not upgrade them)";
    const wrong = (code: string, message: string) =>
      findings.push({ severity: "error", code, object, message, advice: apply });
    if ("unknown" in found) {
      findings.push(...notChecked(object, found));
    } else if (found.value === undefined) {
      wrong("DefinitionMissing", "it is not installed");
    } else {
      const expected = expectedDefinitions.find((one) => one.name === name);
      const { isEstablished, versions, fields } = found.value;
      if (!isEstablished) wrong("DefinitionNotEstablished", "the API server does not serve it");
      if (expected === undefined) continue;
      const installed = new Set(fields);
      const missing = expected.fields.filter((field) => !installed.has(field));
      if (!versions.includes(expected.version)) {
        wrong("DefinitionVersion", `it has the versions ${versions.join(", ")}, and not ${expected.version}`);
      } else if (missing.length > 0) {
        const named = missing.slice(0, fieldsNamedMax).join(", ");
        const more = missing.length > fieldsNamedMax ? ` and ${missing.length - fieldsNamedMax} more` : "";
        wrong("DefinitionOld", `it is of an older version: ${named}${more} are not in it`);
      }
    }
  }
  return findings;
}
