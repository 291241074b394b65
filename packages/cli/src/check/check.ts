import type { Facts } from "./facts.ts";
import { type Finding, inOrder } from "./findings.ts";
import { clusterFindings } from "./rules/cluster.ts";
import { coordinatorFindings } from "./rules/coordinator.ts";
import { rightFindings } from "./rules/rights.ts";
import { serviceFindings } from "./rules/services.ts";
import { webhookFindings } from "./rules/webhook.ts";
import { workloadFindings } from "./rules/workloads.ts";

/** Everything that is not as it should be, the worst first. */
export function findingsOf(facts: Facts): Finding[] {
  const rules = [
    clusterFindings,
    coordinatorFindings,
    webhookFindings,
    workloadFindings,
    serviceFindings,
    rightFindings,
  ];
  return inOrder(rules.flatMap((rule) => rule(facts)));
}
