import { agentContainer, injectLabel, readStatus, statusAnnotation } from "@cutline/injection";
import type { KubeApi } from "../cluster/client.ts";
import { textsOf } from "../cluster/objects.ts";
import { arrayOf, asRecord, numberOf, stringOf, textOf } from "../json.ts";
import type { NamespaceFacts, PodFacts, ServiceFacts, WorkloadFacts } from "./facts.ts";

const trafficAnnotation = "cutline.dev/traffic";
const asksForAgent = `${injectLabel}=true`;

/** The namespaces in which pods ask for agents; `namespace`: that one alone. */
export async function namespacesWithAgents(api: KubeApi, namespace: string | undefined): Promise<string[]> {
  if (namespace !== undefined) return [namespace];
  const [pods, workloads] = await Promise.all([
    api.list({
      path: "/api/v1/pods",
      query: { labelSelector: asksForAgent },
      failure: "cannot list the pods of all namespaces",
    }),
    listWorkloads(api, undefined),
  ]);
  const names = pods.map((pod) => stringOf(asRecord(asRecord(pod)?.metadata)?.namespace));
  return [...new Set([...names, ...workloads.map((workload) => workload.namespace)])].sort();
}

export async function listPods(api: KubeApi, namespace: string): Promise<PodFacts[]> {
  const items = await api.list({
    path: `/api/v1/namespaces/${namespace}/pods`,
    failure: `cannot list the pods of ${namespace}`,
  });
  return items.map(podOf);
}

function podOf(raw: unknown): PodFacts {
  const pod = asRecord(raw);
  const metadata = asRecord(pod?.metadata);
  const spec = asRecord(pod?.spec);
  const status = asRecord(pod?.status);
  const labels = textsOf(metadata?.labels);
  const containers = [...arrayOf(spec?.containers), ...arrayOf(spec?.initContainers)].map(asRecord);
  const agent = containers.find((container) => container?.name === agentContainer);
  const image = stringOf(agent?.image);
  const injected = readStatus(textsOf(metadata?.annotations)[statusAnnotation]);
  return {
    namespace: stringOf(metadata?.namespace),
    name: stringOf(metadata?.name),
    labels,
    asksForAgent: labels[injectLabel] === "true",
    hasAgent: agent !== undefined,
    agentVersion: injected?.version ?? versionOfImage(image),
    phase: stringOf(status?.phase),
    isGoing: textOf(metadata?.deletionTimestamp) !== undefined,
    agentTrouble: troubleOf(status, agentContainer),
  };
}

/** The tag; empty when there is only a digest. */
export function versionOfImage(image: string): string {
  return /:([A-Za-z0-9_][\w.-]*)$/.exec(image.split("@")[0] ?? "")?.[1] ?? "";
}

/** Why a container does not run: `CrashLoopBackOff: back-off 5m0s ...`. Empty: it runs, or has not been asked to. `name` undefined: of any. */
export function troubleOf(status: Readonly<Record<string, unknown>> | undefined, name?: string): string {
  const all = [...arrayOf(status?.containerStatuses), ...arrayOf(status?.initContainerStatuses)].map(asRecord);
  for (const container of all) {
    if (name !== undefined && container?.name !== name) continue;
    const waiting = asRecord(asRecord(container?.state)?.waiting);
    const terminated = asRecord(asRecord(container?.state)?.terminated);
    const isDone = terminated !== undefined && terminated.exitCode === 0;
    const reason = textOf(waiting?.reason) ?? (isDone ? undefined : textOf(terminated?.reason));
    if (reason === undefined || reason === "ContainerCreating" || reason === "PodInitializing") continue;
    const message = textOf(waiting?.message) ?? textOf(terminated?.message);
    return message === undefined ? reason : `${reason}: ${message}`;
  }
  return "";
}

/** Those whose pods ask for an agent. */
export async function listWorkloads(api: KubeApi, namespace: string | undefined): Promise<WorkloadFacts[]> {
  const inNamespace = namespace === undefined ? "" : `/namespaces/${namespace}`;
  const kinds = { Deployment: "deployments", StatefulSet: "statefulsets", DaemonSet: "daemonsets" };
  const lists = await Promise.all(
    Object.entries(kinds).map(async ([kind, plural]) => {
      const items = await api.list({
        path: `/apis/apps/v1${inNamespace}/${plural}`,
        failure: `cannot list the ${plural}`,
      });
      return items.flatMap((item) => workloadOf(kind, item));
    }),
  );
  return lists.flat();
}

function workloadOf(kind: string, raw: unknown): WorkloadFacts[] {
  const workload = asRecord(raw);
  const metadata = asRecord(workload?.metadata);
  const spec = asRecord(workload?.spec);
  const status = asRecord(workload?.status);
  const template = asRecord(asRecord(spec?.template)?.metadata);
  if (textsOf(template?.labels)[injectLabel] !== "true") return [];
  const count = (value: unknown) => (Number.isFinite(numberOf(value)) ? numberOf(value) : 0);
  return [
    {
      kind,
      namespace: stringOf(metadata?.namespace),
      name: stringOf(metadata?.name),
      traffic: textsOf(template?.annotations)[trafficAnnotation] ?? "env",
      wantedReplicas: count(spec?.replicas ?? status?.desiredNumberScheduled),
      readyReplicas: count(status?.readyReplicas ?? status?.numberReady),
    },
  ];
}

export async function listServices(api: KubeApi, namespace: string): Promise<ServiceFacts[]> {
  const items = await api.list({
    path: `/api/v1/namespaces/${namespace}/services`,
    failure: `cannot list the Services of ${namespace}`,
  });
  return items.map((item) => {
    const service = asRecord(item);
    const metadata = asRecord(service?.metadata);
    const spec = asRecord(service?.spec);
    return {
      namespace: stringOf(metadata?.namespace),
      name: stringOf(metadata?.name),
      selector: textsOf(spec?.selector),
      ports: arrayOf(spec?.ports).map((one) => {
        const port = asRecord(one);
        return { name: stringOf(port?.name), port: numberOf(port?.port) };
      }),
      isHeadless: spec?.clusterIP === "None",
    };
  });
}

export async function getNamespace(api: KubeApi, name: string): Promise<NamespaceFacts> {
  const failure = `cannot get the namespace ${name}`;
  const namespace = asRecord(await api.send({ method: "GET", path: `/api/v1/namespaces/${name}`, failure }));
  return { name, labels: textsOf(asRecord(namespace?.metadata)?.labels) };
}

/** Asks the API server to make a pod that asks for an agent, and not to keep it: so the webhook is called as for any other. */
export async function tryInjection(api: KubeApi, namespace: string): Promise<"injected" | "notInjected"> {
  const answer = await api.send({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/pods`,
    query: { dryRun: "All" },
    body: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { generateName: "cutline-check-", labels: { [injectLabel]: "true" } },
      spec: {
        securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "application",
            image: "trial.invalid/none",
            ports: [{ containerPort: 9_000 }],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    },
    failure: `cannot create a pod for trial in ${namespace}`,
  });
  return podOf(answer).hasAgent ? "injected" : "notInjected";
}
