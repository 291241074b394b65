export const trafficModes = ["env", "redirect"] as const;
export type TrafficMode = (typeof trafficModes)[number];

export const readinessRules = ["serving", "strict"] as const;
export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export const pullPolicies = ["Always", "IfNotPresent", "Never"] as const;

/** gRPC stacks that do not read `grpc_proxy`, and what is set for them. */
export const clientStacks = ["go", "java"] as const;
export type ClientStack = (typeof clientStacks)[number];

/** Quantities as Kubernetes writes them; `undefined`: none is set. */
export interface Resources {
  readonly cpuRequest: string | undefined;
  readonly cpuLimit: string | undefined;
  readonly memoryRequest: string | undefined;
  readonly memoryLimit: string | undefined;
}

/** What the operator decides; pods change some of it by annotations. */
export interface InjectionPolicy {
  /** Of Cutline; stands in the pod's status annotation. */
  readonly version: string;
  readonly image: string;
  readonly imagePullPolicy: (typeof pullPolicies)[number];
  /** Where the coordinator runs. */
  readonly coordinatorNamespace: string;
  /** The Service at which agents attach (7401) and get their certificates (7402). */
  readonly agentsService: string;
  /** The cluster knows init containers with `restartPolicy: Always` (1.29 and newer; see {@link knowsNativeSidecars}). */
  readonly nativeSidecars: boolean;
  /** Certificates of the mesh authorities (PEM), whom an agent believes at first. `undefined`: the mesh has no TLS. */
  readonly meshAuthorities: string | undefined;
  readonly traffic: TrafficMode;
  /** Redirect mode: destination ports that lead through the agent. */
  readonly outboundPorts: readonly number[];
  /** Hosts, suffixes or address ranges that clients dial without the agent, besides loopback. */
  readonly noProxy: readonly string[];
  readonly clients: readonly ClientStack[];
  readonly resources: Resources;
}

export const defaultPolicy = {
  imagePullPolicy: "IfNotPresent",
  coordinatorNamespace: "cutline",
  agentsService: "cutline-agents",
  nativeSidecars: true,
  traffic: "env",
  outboundPorts: [],
  noProxy: [],
  clients: [],
  // Without a limit of CPU: an agent that is throttled holds up the application's traffic.
  resources: { cpuRequest: "100m", cpuLimit: undefined, memoryRequest: "128Mi", memoryLimit: "512Mi" },
} as const satisfies Partial<InjectionPolicy>;

/** From `/version` of the API server (`minor` may end in `+`). */
export function knowsNativeSidecars(version: { readonly major: string; readonly minor: string }): boolean {
  const [major, minor] = [Number.parseInt(version.major, 10), Number.parseInt(version.minor, 10)];
  return major > 1 || (major === 1 && minor >= 29);
}
