import { type ConnectionConfig, openConnection } from "./connection.ts";
import { Controller, type ControllerOptions } from "./controller.ts";
import { Discovery, type DiscoveryOptions } from "./discovery/discovery.ts";
import { defaultDiscoveryLimits } from "./discovery/limits.ts";
import { type ControllerLimits, defaultControllerLimits } from "./limits.ts";

/** The settings of the controller, as the coordinator's table has them. */
export interface KubernetesConfig extends ConnectionConfig {
  readonly kubernetes: boolean;
  readonly kubernetesNamespaces: readonly string[];
  readonly kubernetesLeaseName: string;
  readonly kubernetesLeaseNamespace: string | undefined;
  readonly kubernetesLeaseMs: number;
  readonly kubernetesRelistMs: number;
  readonly kubernetesAlarmMs: number;
  readonly discovery: boolean;
  readonly clusterDomain: string;
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
  const limits = limitsOf(config);
  const { client, namespace } = await openConnection(config, nowMs);
  return new Controller({
    ...surroundings,
    client,
    holder: `${instance}_${holder}`,
    namespaces: config.kubernetesNamespaces,
    leaseNamespace: config.kubernetesLeaseNamespace ?? namespace,
    leaseName: config.kubernetesLeaseName,
    limits,
    random: Math.random,
    logger: logger.child({ part: "kubernetes" }),
  });
}

/** `undefined`: Services are not asked for. Rejects with `KubeConfigInvalid`. */
export async function openDiscovery(
  config: KubernetesConfig,
  { nowMs, logger, metrics }: Pick<DiscoveryOptions, "nowMs" | "logger" | "metrics">,
): Promise<Discovery | undefined> {
  if (!config.discovery) return undefined;
  const limits = { ...limitsOf(config), ...defaultDiscoveryLimits };
  const { client } = await openConnection(config, nowMs);
  return new Discovery({
    client,
    namespaces: config.kubernetesNamespaces,
    clusterDomain: config.clusterDomain,
    limits,
    nowMs,
    random: Math.random,
    logger: logger.child({ part: "discovery" }),
    metrics,
  });
}

function limitsOf(config: KubernetesConfig): ControllerLimits {
  return {
    ...defaultControllerLimits,
    leaseMs: config.kubernetesLeaseMs,
    relistMs: config.kubernetesRelistMs,
    alarmMs: config.kubernetesAlarmMs,
  };
}
