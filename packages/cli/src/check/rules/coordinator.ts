import type { CoordinatorFacts, Facts } from "../facts.ts";
import { type Finding, notChecked } from "../findings.ts";

/** The API server was not heard for so long: what discovery knows may be old. */
const discoveryAgeMsMax = 300_000;

export function coordinatorFindings({ coordinator, nowMs, version }: Facts): Finding[] {
  if ("unknown" in coordinator) {
    const advice = "install Cutline (helm install), or name it with --coordinator-namespace and --coordinator";
    return [
      { severity: "error", code: "CoordinatorMissing", object: "coordinator", message: coordinator.unknown, advice },
    ];
  }
  const facts = coordinator.value;
  return [
    ...podFindings(facts, version),
    ...leaseFindings(facts, nowMs),
    ...reachedFindings(facts),
    ...certificateFindings(facts, nowMs),
  ];
}

/** So long before its end a certificate should have been replaced. Those of processes and coordinators live for a day. */
const certificateWarnMs = { own: 3_600_000, authority: 7 * 24 * 3_600_000 };

const nameOf = ({ namespace, name }: CoordinatorFacts) => `Service ${namespace}/${name}`;

function podFindings(facts: CoordinatorFacts, version: string): Finding[] {
  const { namespace, pods } = facts;
  const findings: Finding[] = [];
  if (pods.every(({ isReady }) => !isReady)) {
    findings.push({
      severity: "error",
      code: "CoordinatorNotReady",
      object: nameOf(facts),
      message: pods.length === 0 ? "it leads to no pod" : `none of its ${pods.length} pods is ready`,
      advice: `kubectl -n ${namespace} describe pods -l app.kubernetes.io/component=coordinator`,
    });
  }
  for (const pod of pods) {
    if (pod.isReady) continue;
    findings.push({
      severity: "warning",
      code: "ReplicaNotReady",
      object: `Pod ${namespace}/${pod.name}`,
      message: pod.trouble === "" ? "it is not ready" : `it is not ready: ${pod.trouble}`,
      advice: `kubectl -n ${namespace} logs ${pod.name}`,
    });
  }
  const versions = [...new Set(pods.map((pod) => pod.version).filter((one) => one !== ""))];
  if (versions.length > 1) {
    findings.push({
      severity: "warning",
      code: "CoordinatorVersionsMixed",
      object: nameOf(facts),
      message: `its replicas have the versions ${versions.join(" and ")}`,
      advice: "wait for the rollout to end, or finish it",
    });
  }
  if (versions.length === 1 && versions[0] !== version) {
    findings.push({
      severity: "warning",
      code: "ProgramVersionOther",
      object: nameOf(facts),
      message: `the coordinator has version ${versions[0]}, this program ${version}`,
      advice: "use the program of the coordinator's version",
    });
  }
  return findings;
}

function leaseFindings(facts: CoordinatorFacts, nowMs: number): Finding[] {
  const { lease, namespace, name } = facts;
  const object = `Lease ${namespace}/${name}`;
  if ("unknown" in lease) return notChecked(object, lease);
  const advice = `see whether CUTLINE_KUBERNETES is true, and kubectl -n ${namespace} logs -l app.kubernetes.io/component=coordinator`;
  const noLeader = (message: string): Finding[] => [{ severity: "error", code: "NoLeader", object, message, advice }];
  if (lease.value === undefined) return noLeader("it does not exist: no coordinator works on GlobalSnapshots");
  const { holder, renewedAt, durationMs } = lease.value;
  if (holder === "") return noLeader("nobody holds it: no coordinator works on GlobalSnapshots");
  const sinceMs = nowMs - Date.parse(renewedAt);
  // Clocks differ, and who holds it renews three times in each duration.
  if (Number.isNaN(sinceMs) || sinceMs < 2 * durationMs) return [];
  return noLeader(`${holder} has not renewed it for ${Math.round(sinceMs / 1_000)} s`);
}

function reachedFindings(facts: CoordinatorFacts): Finding[] {
  const { reached, namespace } = facts;
  const object = nameOf(facts);
  if ("unknown" in reached) {
    const advice = "see that this user may create pods/portforward there, or give --server";
    return [{ severity: "error", code: "CoordinatorUnreachable", object, message: reached.unknown, advice }];
  }
  const { reasons, topology } = reached.value;
  const findings = reasons.map((reason): Finding => {
    const isStore = reason.includes("store");
    return {
      severity: "error",
      code: isStore ? "StoreTrouble" : "CoordinatorNotServing",
      object,
      message: reason,
      advice: isStore
        ? `look at the store (Redis) that CUTLINE_STORE_URL names, and kubectl -n ${namespace} logs -l app.kubernetes.io/component=coordinator`
        : "ask again in a few seconds: another replica may be taking over",
    };
  });
  if ("unknown" in topology) {
    const advice =
      "choose an account that may: --service-account NAMESPACE/NAME, with one of the chart's roles for callers";
    return [
      ...findings,
      { severity: "warning", code: "CoordinatorRefuses", object, message: topology.unknown, advice },
    ];
  }
  const { discovery } = topology.value;
  if (discovery === undefined) {
    findings.push({
      severity: "warning",
      code: "DiscoveryOff",
      object,
      message: "it does not read Services: only authorities that agents declare lead to processes",
      advice: "set CUTLINE_DISCOVERY=true",
    });
  } else if (discovery.phase !== "known" || discovery.ageMs > discoveryAgeMsMax) {
    const message =
      discovery.phase === "known"
        ? `it has not heard of Services for ${Math.round(discovery.ageMs / 1_000)} s`
        : "it knows no Services yet";
    const advice = `see whether it may list services and endpointslices, and kubectl -n ${namespace} logs -l app.kubernetes.io/component=coordinator`;
    findings.push({ severity: "warning", code: "DiscoveryStale", object, message, advice });
  }
  return findings;
}

/** Its own certificate, and of the authorities that it trusts the one that lasts longest. */
function certificateFindings(facts: CoordinatorFacts, nowMs: number): Finding[] {
  const { reached } = facts;
  // Who may not read the metrics learns nothing of certificates, and is told so by the topology already.
  if ("unknown" in reached || "unknown" in reached.value.certificates) return [];
  const certificates = reached.value.certificates.value;
  return (["own", "authority"] as const).flatMap((role): Finding[] => {
    const [last] = certificates.filter((one) => one.role === role).sort((a, b) => b.untilMs - a.untilMs);
    if (last === undefined || last.untilMs - nowMs > certificateWarnMs[role]) return [];
    const until = new Date(last.untilMs).toISOString();
    const isOver = last.untilMs <= nowMs;
    const what = role === "own" ? "its certificate" : `the mesh authority ${last.subject}`;
    return [
      {
        severity: isOver ? "error" : "warning",
        code: isOver ? "CertificateExpired" : "CertificateExpires",
        object: nameOf(facts),
        message: `${what} ${isOver ? "ended" : "ends"} at ${until}`,
        advice:
          "renew the files or the Secret that it comes from; the coordinator's log says why it did not do so itself",
      },
    ];
  });
}
