/* The profile "restricted" of the Pod Security Standards (v1.34), for what it is about. */

interface SecurityContext {
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly procMount?: string;
  readonly seccompProfile?: { readonly type?: string };
  readonly seLinuxOptions?: unknown;
  readonly sysctls?: readonly unknown[];
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
}

interface Container {
  readonly name: string;
  readonly securityContext?: SecurityContext;
  readonly ports?: readonly { readonly hostPort?: number }[];
}

export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext?: SecurityContext;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
}

const volumeKinds = new Set([
  ...[
    "name",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
  ],
]);

/** What breaks the profile; empty: nothing. */
export function breaches(pod: PodSpec): string[] {
  const found: string[] = [];
  for (const field of ["hostNetwork", "hostPID", "hostIPC"] as const) if (pod[field]) found.push(field);
  for (const volume of pod.volumes ?? []) {
    for (const kind of Object.keys(volume)) if (!volumeKinds.has(kind)) found.push(`a volume of the kind ${kind}`);
  }
  if ((pod.securityContext?.sysctls ?? []).length > 0) found.push("sysctls");
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    found.push(...containerBreaches(container, pod.securityContext ?? {}).map((each) => `${container.name}: ${each}`));
  }
  return found;
}

function containerBreaches({ securityContext: own = {}, ports = [] }: Container, pod: SecurityContext): string[] {
  const found: string[] = [];
  if (own.privileged) found.push("privileged");
  if (own.allowPrivilegeEscalation !== false) found.push("allowPrivilegeEscalation is not false");
  if ((own.runAsNonRoot ?? pod.runAsNonRoot) !== true) found.push("runAsNonRoot is not true");
  if ((own.runAsUser ?? pod.runAsUser) === 0) found.push("runAsUser is 0");
  if (own.procMount !== undefined && own.procMount !== "Default") found.push("procMount");
  if (!["RuntimeDefault", "Localhost"].includes((own.seccompProfile ?? pod.seccompProfile)?.type ?? "")) {
    found.push("seccompProfile");
  }
  if (!own.capabilities?.drop?.includes("ALL")) found.push("capabilities are not dropped");
  if (own.capabilities?.add?.some((each) => each !== "NET_BIND_SERVICE")) found.push("capabilities are added");
  if (ports.some(({ hostPort }) => hostPort !== undefined && hostPort !== 0)) found.push("hostPort");
  return found;
}
