import { type Facts, type PodFacts, topologyIn } from "../facts.ts";
import { type Finding, notChecked } from "../findings.ts";

/** Levels of Pod Security that do not let a container have NET_ADMIN. */
const strictLevels = ["baseline", "restricted"];
const enforceLabel = "pod-security.kubernetes.io/enforce";

export function workloadFindings(facts: Facts): Finding[] {
  return [...podFindings(facts), ...redirectFindings(facts)];
}

function podFindings(facts: Facts): Finding[] {
  const { pods, coordinator } = facts;
  if ("unknown" in pods) return notChecked("Pods", pods);
  const topology = topologyIn(facts);
  const processes = new Map(topology?.processes.map((process) => [process.id, process]));
  const versions = "value" in coordinator ? coordinator.value.pods.map(({ version }) => version).filter(Boolean) : [];
  const findings: Finding[] = [];
  for (const pod of pods.value) {
    if (pod.isGoing || pod.phase === "Succeeded" || pod.phase === "Failed") continue;
    const add = (severity: Finding["severity"], code: string, message: string, advice: string) =>
      findings.push({ severity, code, object: `Pod ${pod.namespace}/${pod.name}`, message, advice });
    if (!pod.hasAgent) {
      if (pod.asksForAgent) add("error", "AgentMissing", ...missingWords(pod));
      continue;
    }
    if (pod.agentTrouble !== "") {
      add(
        "error",
        "AgentNotRunning",
        `its agent does not run: ${pod.agentTrouble}`,
        `kubectl -n ${pod.namespace} logs ${pod.name} -c cutline-agent`,
      );
    }
    if (pod.agentVersion !== "" && versions.length > 0 && !versions.includes(pod.agentVersion)) {
      const message = `its agent has version ${pod.agentVersion}, the coordinator ${[...new Set(versions)].join(", ")}`;
      add("warning", "AgentVersionOther", message, `restart its workload: kubectl -n ${pod.namespace} rollout restart`);
    }
    if (topology === undefined || pod.phase !== "Running") continue;
    const process = processes.get(`${pod.namespace}/${pod.name}`);
    if (process === undefined) {
      if (pod.agentTrouble !== "") continue;
      const advice = `kubectl -n ${pod.namespace} logs ${pod.name} -c cutline-agent; see that it reaches ports 7401 and 7402 of the coordinator`;
      add(
        "error",
        "AgentNotAttached",
        "its agent has not attached to the coordinator, so it is in no snapshot",
        advice,
      );
    } else if (process.phase !== "attached") {
      add(
        "warning",
        "AgentDetached",
        "its agent has lost the coordinator and may come back",
        "look again in a few seconds",
      );
    } else if (!process.ready) {
      const why = process.reasons.map(({ code, message }) => `${code}: ${message}`).join("; ");
      add("warning", "ProcessNotReady", `it cannot be cut now: ${why}`, "the reason says what is missing");
    }
  }
  return findings;
}

function missingWords({ namespace }: PodFacts): readonly [string, string] {
  return [
    "it asks for an agent (cutline.dev/inject) and has none: its calls are environment, and it is in no snapshot",
    `see what is said of the webhook here, then kubectl -n ${namespace} rollout restart its workload; or use cutline inject`,
  ];
}

function redirectFindings({ workloads, namespaces }: Facts): Finding[] {
  if ("unknown" in workloads) return notChecked("Workloads", workloads);
  const redirected = workloads.value.filter(({ traffic }) => traffic === "redirect");
  if (redirected.length === 0) return [];
  if ("unknown" in namespaces) return notChecked("Namespaces", namespaces);
  const levels = new Map(namespaces.value.map(({ name, labels }) => [name, labels[enforceLabel] ?? ""]));
  return redirected.flatMap(({ kind, namespace, name }): Finding[] => {
    const level = levels.get(namespace) ?? "";
    if (!strictLevels.includes(level)) return [];
    return [
      {
        severity: "error",
        code: "RedirectForbidden",
        object: `${kind} ${namespace}/${name}`,
        message: `it wants traffic redirected, which takes NET_ADMIN, and the namespace enforces Pod Security ${level}`,
        advice: `use cutline.dev/traffic: env, or label the namespace ${enforceLabel}=privileged`,
      },
    ];
  });
}
