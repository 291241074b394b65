import { CliError, exitCodes } from "../errors.ts";
import { arrayOf, asRecord, stringOf, textOf } from "../json.ts";
import type { Route } from "../transport.ts";
import type { ClusterAccess } from "./api/kubeconfig.ts";
import type { KubeApi } from "./client.ts";

/** Where to look for the coordinator's Service. */
export interface CoordinatorPlace {
  /** `undefined`: in all namespaces. */
  readonly namespace: string | undefined;
  /** Of the Service, and of the Lease. `undefined`: it is found by the labels that the chart gives it. */
  readonly name: string | undefined;
}

const coordinatorLabels = "app.kubernetes.io/part-of=cutline,app.kubernetes.io/component=coordinator";
const restPort = 7_400;
/** Of tokens that are made for the coordinator alone. */
const tokenAudience = "cutline";
const tokenSeconds = 600;

export const coordinatorAdvice = 'see what "kubectl cutline check" says';

export interface CoordinatorService {
  readonly namespace: string;
  readonly name: string;
}

interface CoordinatorPod {
  readonly namespace: string;
  readonly name: string;
  /** Whether it holds the Lease. */
  readonly role: "leader" | "ready";
}

/** The coordinator's Service. Rejects with `CoordinatorMissing` or `CoordinatorAmbiguous`. */
export async function findCoordinator(api: KubeApi, place: CoordinatorPlace): Promise<CoordinatorService> {
  const { namespace, name } = place;
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  const where = namespace === undefined ? "in all namespaces" : `in ${namespace}`;
  const services = await api.list({
    path: namespace === undefined ? "/api/v1/services" : `/api/v1/namespaces/${namespace}/services`,
    query: name === undefined ? { labelSelector: coordinatorLabels } : { fieldSelector: `metadata.name=${name}` },
    failure: `cannot look for the coordinator ${where}`,
  });
  const found = services.filter(hasRestPort).map((one) => {
    const metadata = asRecord(asRecord(one)?.metadata);
    return { namespace: stringOf(metadata?.namespace), name: stringOf(metadata?.name) };
  });
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  if (only === undefined) {
    throw new CliError("CoordinatorMissing", exitCodes.notFound, `no coordinator was found ${where}`, {
      details: ["install Cutline with helm, or name its Service with --coordinator and --coordinator-namespace"],
    });
  }
  const names = found.map((one) => `${one.namespace}/${one.name}`).join(", ");
  const message = `there are several coordinators, ${names}: choose one with --coordinator-namespace and --coordinator`;
  throw new CliError("CoordinatorAmbiguous", exitCodes.usage, message);
}

/** Agents have a Service of their own, with the same labels. */
function hasRestPort(service: unknown): boolean {
  return arrayOf(asRecord(asRecord(service)?.spec)?.ports).some((one) => asRecord(one)?.port === restPort);
}

/** The pod that holds the Lease; else the first ready one of the Service. */
async function findCoordinatorPod(api: KubeApi, { namespace, name }: CoordinatorService): Promise<CoordinatorPod> {
  const inNamespace = `/api/v1/namespaces/${namespace}`;
  const service = asRecord(
    await api.send({
      method: "GET",
      path: `${inNamespace}/services/${name}`,
      failure: `cannot find the coordinator in ${namespace}`,
    }),
  );
  const selector = Object.entries(asRecord(asRecord(service?.spec)?.selector) ?? {});
  const labelSelector = selector.map(([key, value]) => `${key}=${stringOf(value)}`).join(",");
  const pods = await api.list({
    path: `${inNamespace}/pods`,
    query: { labelSelector },
    failure: `cannot list the coordinator's pods in ${namespace}`,
  });
  const ready = pods.filter(isReady).map((pod) => stringOf(asRecord(asRecord(pod)?.metadata)?.name));
  const holder = await leaseHolder(api, namespace, name);
  // The holder is POD_UNIQUE: pods' names have no underscore.
  const leader = ready.find((pod) => pod === holder?.split("_")[0]);
  const chosen = leader ?? ready.sort()[0];
  if (chosen !== undefined) return { namespace, name: chosen, role: leader === undefined ? "ready" : "leader" };
  const message = `none of the ${pods.length} pods of the Service ${namespace}/${name} is ready: look at them with "kubectl -n ${namespace} get pods -l ${labelSelector}"`;
  throw new CliError("CoordinatorNotReady", exitCodes.unavailable, message);
}

/** `undefined`: nobody holds it, it does not exist, or this user may not read it. */
async function leaseHolder(api: KubeApi, namespace: string, name: string): Promise<string | undefined> {
  try {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
    const lease = asRecord(await api.send({ method: "GET", path, failure: "cannot read the Lease" }));
    return textOf(asRecord(lease?.spec)?.holderIdentity);
  } catch (error) {
    // Any ready replica will do: those that do not lead say so.
    if (error instanceof CliError && error.exitCode !== exitCodes.interrupted) return undefined;
    throw error;
  }
}

export function isReady(pod: unknown): boolean {
  const { metadata, status } = asRecord(pod) ?? {};
  if (textOf(asRecord(metadata)?.deletionTimestamp) !== undefined) return false;
  return arrayOf(asRecord(status)?.conditions).some((one) => {
    const condition = asRecord(one);
    return condition?.type === "Ready" && condition.status === "True";
  });
}

export interface RouteOptions {
  readonly access: ClusterAccess;
  readonly api: KubeApi;
  readonly place: CoordinatorPlace;
  /** NAMESPACE/NAME of the service account to call as; `undefined`: as the user. */
  readonly serviceAccount: string | undefined;
  /** Called with what has to be closed at the end. */
  readonly opened: (resource: { close(): void }) => void;
}

/** The way to the leading coordinator's REST interface, through the API server. */
export function coordinatorRoute({ access, api, place, serviceAccount, opened }: RouteOptions): Route {
  let failure = () => "";
  return {
    async open() {
      const pod = await findCoordinatorPod(api, await findCoordinator(api, place));
      const token = serviceAccount === undefined ? await access.token() : await tokenOf(api, serviceAccount);
      const forwarding = await access.forward(pod, restPort);
      opened(forwarding);
      failure = () => forwarding.failure();
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return { base: forwarding.url, name: `in the pod ${pod.namespace}/${pod.name}`, headers };
    },
    why: () => failure(),
    advice: coordinatorAdvice,
  };
}

/** Short-lived, and good for the coordinator alone. */
async function tokenOf(api: KubeApi, serviceAccount: string): Promise<string> {
  const [namespace = "", name = ""] = serviceAccount.split("/");
  const answer = await api.send({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    body: { spec: { audiences: [tokenAudience], expirationSeconds: tokenSeconds } },
    failure: `cannot get a token of the service account ${serviceAccount}`,
  });
  return stringOf(asRecord(asRecord(answer)?.status)?.token);
}
