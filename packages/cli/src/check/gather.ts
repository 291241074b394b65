import type { CoordinatorClient } from "../client.ts";
import { ApiError, type KubeApi } from "../cluster/client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { findCoordinator, isReady } from "../cluster/coordinator.ts";
import { textsOf } from "../cluster/objects.ts";
import { CliError, exitCodes, messageOf } from "../errors.ts";
import { arrayOf, asRecord, numberOf, stringOf, textOf } from "../json.ts";
import { expectedDefinitions } from "./expected.ts";
import type { CoordinatorFacts, DefinitionFacts, Facts, WebhookFacts } from "./facts.ts";
import type { Known } from "./findings.ts";
import {
  getNamespace,
  listPods,
  listServices,
  listWorkloads,
  namespacesWithAgents,
  troubleOf,
  tryInjection,
  versionOfImage,
} from "./gather-workloads.ts";
import { askRights, coordinatorQuestions, userQuestions } from "./rights.ts";

/** The webhook of the chart. */
const webhookName = "inject.cutline.dev";
const versionLabel = "app.kubernetes.io/version";

export interface GatherOptions {
  readonly cluster: Cluster;
  readonly client: CoordinatorClient;
  /** `undefined`: all that have something to do with agents. */
  readonly namespace: string | undefined;
  readonly nowMs: number;
  readonly version: string;
}

/** Looks at everything; what cannot be looked at is a fact as well. Rejects only when it is interrupted. */
export async function gatherFacts(options: GatherOptions): Promise<Facts> {
  const { cluster, client, namespace, nowMs, version } = options;
  const { api, access } = cluster;
  const [server, definitions, coordinator, webhooks, found] = await Promise.all([
    known(() => serverVersion(api)),
    Promise.all(
      expectedDefinitions.map(async ({ name }) => ({ name, found: await known(() => definition(api, name)) })),
    ),
    known(() => coordinatorFacts(cluster, client)),
    known(() => webhookFacts(api)),
    known(() => namespacesWithAgents(api, namespace)),
  ]);
  // Who may not see all namespaces has at least the one of the context.
  const names = "value" in found ? found.value : [access.namespace];
  const [pods, workloads, services, namespaces] = await Promise.all([
    known(async () => (await Promise.all(names.map((name) => listPods(api, name)))).flat()),
    known(async () => (await Promise.all(names.map((name) => listWorkloads(api, name)))).flat()),
    known(async () => (await Promise.all(names.map((name) => listServices(api, name)))).flat()),
    known(async () => await Promise.all(names.map((name) => getNamespace(api, name)))),
  ]);
  const coordinatorNamespace = "value" in coordinator ? coordinator.value.namespace : undefined;
  const hasWebhook = "value" in webhooks && webhooks.value.length > 0;
  const trialNamespace = names.find((name) => name !== coordinatorNamespace) ?? access.namespace;
  const trial = hasWebhook ? await known(() => tryInjection(api, trialNamespace)) : undefined;
  const account = "value" in coordinator ? await serviceAccountOf(api, coordinator.value) : undefined;
  const questions = [
    ...userQuestions(access.namespace, coordinatorNamespace),
    ...("value" in coordinator && account !== undefined ? coordinatorQuestions(coordinator.value) : []),
  ];
  const rights = await askRights(api, questions, account);
  return {
    nowMs,
    version,
    server,
    definitions,
    coordinator,
    webhooks,
    trial,
    pods,
    workloads,
    namespaces,
    services,
    rights,
  };
}

async function known<Value>(look: () => Promise<Value>): Promise<Known<Value>> {
  try {
    return { value: await look() };
  } catch (error) {
    if (error instanceof CliError && error.exitCode === exitCodes.interrupted) throw error;
    return { unknown: messageOf(error) };
  }
}

async function serverVersion(api: KubeApi): Promise<{ major: string; minor: string }> {
  const answer = asRecord(await api.send({ method: "GET", path: "/version", failure: "cannot ask the API server" }));
  return { major: stringOf(answer?.major), minor: stringOf(answer?.minor) };
}

async function definition(api: KubeApi, name: string): Promise<DefinitionFacts | undefined> {
  let found: unknown;
  try {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
    found = await api.send({ method: "GET", path, failure: `cannot get the definition ${name}` });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
  const { spec, status } = asRecord(found) ?? {};
  const versions = arrayOf(asRecord(spec)?.versions).map(asRecord);
  const conditions = arrayOf(asRecord(status)?.conditions).map(asRecord);
  const schema = asRecord(asRecord(versions[0])?.schema)?.openAPIV3Schema;
  return {
    isEstablished: conditions.some((one) => one?.type === "Established" && one.status === "True"),
    versions: versions.filter((one) => one?.served === true).map((one) => stringOf(one?.name)),
    fields: fieldsOf(schema, ""),
  };
}

function fieldsOf(schema: unknown, path: string): string[] {
  const properties = Object.entries(asRecord(asRecord(schema)?.properties) ?? {});
  return properties.flatMap(([name, inner]) => {
    const own = path === "" ? name : `${path}.${name}`;
    const items = asRecord(inner)?.items;
    return [own, ...fieldsOf(inner, own), ...fieldsOf(items, own)];
  });
}

async function coordinatorFacts({ api, place }: Cluster, client: CoordinatorClient): Promise<CoordinatorFacts> {
  const { namespace, name } = await findCoordinator(api, place);
  const inNamespace = `/api/v1/namespaces/${namespace}`;
  const failure = `cannot look at the coordinator in ${namespace}`;
  const service = asRecord(await api.send({ method: "GET", path: `${inNamespace}/services/${name}`, failure }));
  const selector = Object.entries(textsOf(asRecord(service?.spec)?.selector));
  const labelSelector = selector.map(([key, value]) => `${key}=${value}`).join(",");
  const [pods, lease, reached] = await Promise.all([
    api.list({ path: `${inNamespace}/pods`, query: { labelSelector }, failure }),
    known(() => leaseFacts(api, namespace, name)),
    known(async () => {
      // Whether it is ready it tells everybody.
      const reasons = await client.readiness();
      const topology = await known(async () => (await client.topology()).value);
      return { reasons, topology, certificates: await known(() => client.certificates()) };
    }),
  ]);
  return { namespace, name, lease, reached, pods: pods.map(coordinatorPod) };
}

function coordinatorPod(raw: unknown): CoordinatorFacts["pods"][number] {
  const { metadata, spec, status } = asRecord(raw) ?? {};
  const containers = arrayOf(asRecord(spec)?.containers).map(asRecord);
  const variables = containers.flatMap((container) => arrayOf(container?.env).map(asRecord));
  const image = stringOf(containers[0]?.image);
  return {
    name: stringOf(asRecord(metadata)?.name),
    isReady: isReady(raw),
    version: textsOf(asRecord(metadata)?.labels)[versionLabel] ?? versionOfImage(image),
    trouble: troubleOf(asRecord(status)),
    settings: Object.fromEntries(
      variables.flatMap((variable): (readonly [string, string])[] => {
        const name = stringOf(variable?.name);
        const value = textOf(variable?.value);
        return name.startsWith("CUTLINE_") && value !== undefined ? [[name, value]] : [];
      }),
    ),
  };
}

async function leaseFacts(api: KubeApi, namespace: string, name: string) {
  try {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
    const lease = asRecord(
      await api.send({ method: "GET", path, failure: `cannot get the Lease ${namespace}/${name}` }),
    );
    const spec = asRecord(lease?.spec);
    return {
      holder: stringOf(spec?.holderIdentity),
      renewedAt: stringOf(spec?.renewTime),
      durationMs: numberOf(spec?.leaseDurationSeconds) * 1_000,
    };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** `undefined`: there is no pod, or this user may not see it. */
async function serviceAccountOf(api: KubeApi, { namespace, pods }: CoordinatorFacts): Promise<string | undefined> {
  const [pod] = pods;
  if (pod === undefined) return undefined;
  const read = await known(async () => {
    const path = `/api/v1/namespaces/${namespace}/pods/${pod.name}`;
    const found = asRecord(await api.send({ method: "GET", path, failure: `cannot get the pod ${pod.name}` }));
    return stringOf(asRecord(found?.spec)?.serviceAccountName);
  });
  return "value" in read && read.value !== "" ? `${namespace}/${read.value}` : undefined;
}

async function webhookFacts(api: KubeApi): Promise<WebhookFacts[]> {
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
  const items = await api.list({ path, failure: "cannot list the MutatingWebhookConfigurations" });
  return items.flatMap((item) => {
    const { metadata, webhooks } = asRecord(item) ?? {};
    return arrayOf(webhooks)
      .map(asRecord)
      .filter((webhook) => webhook?.name === webhookName)
      .map((webhook): WebhookFacts => {
        const config = asRecord(webhook?.clientConfig);
        const service = asRecord(config?.service);
        return {
          configuration: stringOf(asRecord(metadata)?.name),
          service:
            service === undefined ? stringOf(config?.url) : `${stringOf(service.namespace)}/${stringOf(service.name)}`,
          failurePolicy: stringOf(webhook?.failurePolicy),
          caBundle: Buffer.from(stringOf(config?.caBundle), "base64").toString("utf8"),
        };
      });
  });
}
