import { createKubeClient } from "./api/client.ts";
import { openCluster } from "./api/cluster.ts";
import { openPodCluster } from "./api/pod-cluster.ts";
import { Controller, type ControllerOptions } from "./controller.ts";
import { defaultControllerLimits } from "./limits.ts";

/** The settings of the controller, as the coordinator's table has them. */
export interface KubernetesConfig {
  readonly kubernetes: boolean;
  readonly kubeconfig: string | undefined;
  readonly kubernetesServer: string;
  readonly kubernetesServiceAccountFolder: string;
  readonly kubernetesNamespaces: readonly string[];
  readonly kubernetesLeaseName: string;
  readonly kubernetesLeaseNamespace: string | undefined;
  readonly kubernetesLeaseMs: number;
  readonly kubernetesRelistMs: number;
  readonly kubernetesAlarmMs: number;
}

type Surroundings = Pick<
  ControllerOptions,
  "snapshots" | "term" | "holder" | "instance" | "nowMs" | "logger" | "metrics"
>;

/** `undefined`: this coordinator is not to work on a cluster. Rejects with `KubeConfigInvalid`. */
export async function openController(
  config: KubernetesConfig,
  surroundings: Surroundings,
): Promise<Controller | undefined> {
  if (!config.kubernetes) return undefined;
  const { instance, holder, logger, nowMs } = surroundings;
  const limits = {
    ...defaultControllerLimits,
    leaseMs: config.kubernetesLeaseMs,
    relistMs: config.kubernetesRelistMs,
    alarmMs: config.kubernetesAlarmMs,
  };
  const cluster =
    config.kubeconfig === undefined
      ? await openPodCluster(config.kubernetesServer, config.kubernetesServiceAccountFolder, nowMs)
      : await openCluster(config.kubeconfig);
  const { requestTimeoutMs, answerBytesMax } = limits;
  return new Controller({
    ...surroundings,
    client: createKubeClient({ cluster, requestTimeoutMs, answerBytesMax, userAgent: "cutline-coordinator" }),
    holder: `${instance}_${holder}`,
    namespaces: config.kubernetesNamespaces,
    leaseNamespace: config.kubernetesLeaseNamespace ?? cluster.namespace,
    leaseName: config.kubernetesLeaseName,
    limits,
    random: Math.random,
    logger: logger.child({ part: "kubernetes" }),
  });
}
