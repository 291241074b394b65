import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { isKubeError } from "../../../src/kubernetes/api/errors.ts";
import { until } from "./cluster.ts";

/** For whom the tokens of these tests are meant. */
export const audience = "cutline";

/** A pod that nobody runs, which is enough for a token to be bound to it. */
export async function createPod(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<{ readonly uid: string }> {
  await until(`the service account of ${namespace}`, async () => {
    try {
      await client.send({ method: "GET", path: `/api/v1/namespaces/${namespace}/serviceaccounts/default` });
      return true;
    } catch (error) {
      if (isKubeError(error, "KubeNotFound")) return undefined;
      throw error;
    }
  });
  const spec = { containers: [{ name: "application", image: "none" }] };
  const { metadata } = await client.send<{ metadata: { uid: string } }>({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/pods`,
    body: { apiVersion: "v1", kind: "Pod", metadata: { name }, spec },
  });
  return metadata;
}

export async function removePod(client: KubeClient, namespace: string, name: string): Promise<void> {
  const body = { gracePeriodSeconds: 0 };
  await client.send({ method: "DELETE", path: `/api/v1/namespaces/${namespace}/pods/${name}`, body });
}

export interface TokenOptions {
  readonly account?: string;
  readonly audiences?: readonly string[];
  /** Bound to this pod; absent: to nothing. */
  readonly pod?: { readonly name: string; readonly uid: string };
}

/** What the kubelet asks for and puts into a pod's projected volume. */
export async function tokenOf(client: KubeClient, namespace: string, options: TokenOptions = {}): Promise<string> {
  const { account = "default", audiences = [audience], pod } = options;
  const boundObjectRef = pod === undefined ? undefined : { apiVersion: "v1", kind: "Pod", ...pod };
  const { status } = await client.send<{ status: { token: string } }>({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    body: { spec: { audiences, expirationSeconds: 3_600, ...(boundObjectRef !== undefined && { boundObjectRef }) } },
  });
  return status.token;
}

/** Empty, as the chart ships it. */
export async function createSecret(client: KubeClient, namespace: string, name: string): Promise<void> {
  const body = {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: { name, labels: { "app.kubernetes.io/managed-by": "Helm" } },
  };
  await client.send({ method: "POST", path: `/api/v1/namespaces/${namespace}/secrets`, body });
}

export interface SecretObject {
  readonly metadata: { readonly resourceVersion: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

export async function readSecret(client: KubeClient, namespace: string, name: string): Promise<SecretObject> {
  return await client.send<SecretObject>({ method: "GET", path: `/api/v1/namespaces/${namespace}/secrets/${name}` });
}
