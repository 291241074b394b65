import { type InjectionPolicy, knowsNativeSidecars } from "@cutline/injection";
import { CutlineError } from "@cutline/runtime";

export const nativeSidecarChoices = ["auto", "always", "never"] as const;

/** The settings of injection, as the coordinator's table has them. */
export interface InjectionConfig {
  readonly injectionImage: string | undefined;
  readonly injectionImagePullPolicy: InjectionPolicy["imagePullPolicy"];
  readonly injectionAgentsService: string;
  readonly injectionNativeSidecars: (typeof nativeSidecarChoices)[number];
  readonly injectionTraffic: InjectionPolicy["traffic"];
  readonly injectionOutboundPorts: readonly string[];
  readonly injectionNoProxy: readonly string[];
  readonly injectionClients: readonly string[];
  readonly injectionCpuRequest: string;
  readonly injectionCpuLimit: string;
  readonly injectionMemoryRequest: string;
  readonly injectionMemoryLimit: string;
}

export interface PolicySources {
  /** Of Cutline. */
  readonly version: string;
  /** Where this coordinator runs. */
  readonly namespace: string;
  /** Agents get certificates, from those whom this tells; `undefined`: not known yet. Absent: there is no TLS. */
  readonly authorities?: (() => string | undefined) | undefined;
  /** Asks the API server for its version. */
  clusterVersion(): Promise<{ readonly major: string; readonly minor: string }>;
  /** An answer about the version holds so long. */
  readonly versionMs: number;
  now(): number;
}

class PolicyError extends CutlineError<"AuthorityUnknown" | "ConfigInvalid"> {}

/**
 * What decides about pods, put together anew for each. Throws `ConfigInvalid` for settings that cannot be; the function
 * rejects while the mesh authority or the version of the cluster is not known.
 */
export function policyOf(config: InjectionConfig, sources: PolicySources): () => Promise<InjectionPolicy> {
  const { injectionImage: image, injectionNativeSidecars: native } = config;
  if (image === undefined) {
    const message = "CUTLINE_INJECTION_IMAGE: the webhook must know the image of the agents; set it";
    throw new PolicyError("ConfigInvalid", message);
  }
  const { versionMs, now, authorities } = sources;
  let known: { readonly native: boolean; readonly untilMs: number } | undefined;
  const nativeSidecars = async () => {
    if (native !== "auto") return native === "always";
    if (known === undefined || now() > known.untilMs) {
      try {
        known = { native: knowsNativeSidecars(await sources.clusterVersion()), untilMs: now() + versionMs };
      } catch (error) {
        // A cluster loses no features: what was known goes on until it can be asked again.
        if (known === undefined) throw error;
      }
    }
    return known.native;
  };
  return async () => {
    const meshAuthorities = authorities?.();
    if (authorities !== undefined && meshAuthorities === undefined) {
      const message =
        "the authority of the mesh is not known yet, so no agent could be believed; try again in a moment";
      throw new PolicyError("AuthorityUnknown", message);
    }
    return {
      version: sources.version,
      image,
      imagePullPolicy: config.injectionImagePullPolicy,
      coordinatorNamespace: sources.namespace,
      agentsService: config.injectionAgentsService,
      nativeSidecars: await nativeSidecars(),
      meshAuthorities,
      traffic: config.injectionTraffic,
      outboundPorts: config.injectionOutboundPorts.map(Number),
      noProxy: config.injectionNoProxy,
      clients: config.injectionClients as InjectionPolicy["clients"],
      resources: {
        cpuRequest: unlessNone(config.injectionCpuRequest),
        cpuLimit: unlessNone(config.injectionCpuLimit),
        memoryRequest: unlessNone(config.injectionMemoryRequest),
        memoryLimit: unlessNone(config.injectionMemoryLimit),
      },
    };
  };
}

const unlessNone = (quantity: string) => (quantity === "none" ? undefined : quantity);
