import { type Facts, type PodFacts, type ServiceFacts, topologyIn } from "../facts.ts";
import { type Finding, notChecked } from "../findings.ts";

/** Services that lead to pods with agents, and how calls to them get there. */
export function serviceFindings(facts: Facts): Finding[] {
  const { services, pods } = facts;
  if ("unknown" in services) return notChecked("Services", services);
  const topology = topologyIn(facts);
  if (topology?.discovery === undefined || "unknown" in pods) return [];
  const led = new Set(topology.processes.flatMap(({ authorities }) => authorities.map(serviceOf)));
  return services.value.flatMap((service): Finding[] => {
    const object = `Service ${service.namespace}/${service.name}`;
    const selected = pods.value.filter((pod) => isSelected(service, pod));
    const running = selected.filter(({ phase, isGoing }) => phase === "Running" && !isGoing);
    const withAgent = running.filter(({ hasAgent }) => hasAgent);
    if (withAgent.length === 0) return [];
    if (!led.has(`${service.name}.${service.namespace}`)) {
      const ports = service.ports
        .map(({ name, port }) => (name === "" ? String(port) : `${name} (${port})`))
        .join(", ");
      const advice =
        "see that a targetPort is the application's port (cutline.dev/application-port), and that pods are ready; other ports are environment";
      const message = `none of its ports, ${ports || "of which it has none"}, leads to an attached process`;
      return [{ severity: "warning", code: "ServiceWithoutProcess", object, message, advice }];
    }
    const without = running.filter(({ hasAgent }) => !hasAgent);
    if (without.length === 0) return [];
    const message = `${without.length} of its ${running.length} pods have no agent: callers with agents do not call them`;
    const advice = "restart the workload, so that all its pods have agents";
    return [{ severity: "warning", code: "ServicePartlyInjected", object, message, advice }];
  });
}

/** `SERVICE.NAMESPACE` of an authority that is a full name; others give something that no Service is. */
function serviceOf(authority: string): string {
  const parts = authority.slice(0, authority.lastIndexOf(":")).split(".");
  const at = parts.indexOf("svc", 2);
  return at < 2 ? "" : `${parts[at - 2]}.${parts[at - 1]}`;
}

function isSelected({ namespace, selector }: ServiceFacts, pod: PodFacts): boolean {
  const entries = Object.entries(selector);
  return (
    entries.length > 0 && pod.namespace === namespace && entries.every(([key, value]) => pod.labels[key] === value)
  );
}
