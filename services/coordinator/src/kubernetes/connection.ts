import { createKubeClient, type KubeClient } from "./api/client.ts";
import { type Cluster, openCluster } from "./api/cluster.ts";
import { openPodCluster } from "./api/pod-cluster.ts";
import { defaultControllerLimits } from "./limits.ts";

/** The settings of the way to the API server, as the coordinator's table has them. */
export interface ConnectionConfig {
  readonly kubeconfig: string | undefined;
  readonly kubernetesServer: string;
  readonly kubernetesServiceAccountFolder: string;
}

export interface Connection {
  readonly client: KubeClient;
  /** Of this program: its pod's, or that of the kubeconfig's context. */
  readonly namespace: string;
}

/** A way to the API server of its own, which its user closes. Rejects with `KubeConfigInvalid`. */
export async function openConnection(
  config: ConnectionConfig,
  nowMs: () => number,
  requestTimeoutMs = defaultControllerLimits.requestTimeoutMs,
): Promise<Connection> {
  const cluster: Cluster =
    config.kubeconfig === undefined
      ? await openPodCluster(config.kubernetesServer, config.kubernetesServiceAccountFolder, nowMs)
      : await openCluster(config.kubeconfig);
  const { answerBytesMax } = defaultControllerLimits;
  return {
    client: createKubeClient({ cluster, requestTimeoutMs, answerBytesMax, userAgent: "cutline-coordinator" }),
    namespace: cluster.namespace,
  };
}
