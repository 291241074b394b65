import type { PodSettings } from "./annotations.ts";
import type { Application } from "./application.ts";
import { captureMounts } from "./capture-file.ts";
import type { JsonObject } from "./json.ts";
import {
  agentContainer,
  imageUser,
  injectLabel,
  paths,
  ports,
  redirectContainer,
  redirectUser,
  tokenAudience,
  volumes,
} from "./names.ts";
import type { Container } from "./pod.ts";
import type { InjectionPolicy, Resources } from "./policy.ts";
import { literal } from "./variables.ts";

export interface AgentSpec {
  readonly policy: InjectionPolicy;
  readonly settings: PodSettings;
  readonly application: Application;
  readonly stopGraceMs: number;
}

const restricted = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  privileged: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
} as const;

/**
 * How often the kubelet asks a starting agent, once a second, before it restarts it. An agent that gets no certificate
 * gives up earlier, and says why.
 */
const startTriesMax = 180;

export function agentSpec({ policy, settings, application, stopGraceMs }: AgentSpec, labels: string): Container {
  const user = settings.traffic === "redirect" ? redirectUser : imageUser;
  const tls = policy.meshAuthorities !== undefined;
  const health = { httpGet: { path: "/livez", port: ports.health } };
  return {
    name: agentContainer,
    image: policy.image,
    imagePullPolicy: policy.imagePullPolicy,
    command: ["cutline-agent"],
    ...(policy.nativeSidecars && { restartPolicy: "Always" }),
    env: [
      fromField("POD_NAME", "metadata.name"),
      fromField("POD_NAMESPACE", "metadata.namespace"),
      fromField("POD_IP", "status.podIP"),
      fromField("POD_IPS", "status.podIPs"),
      ...variables({ policy, settings, application, stopGraceMs }, labels).map(([name, value]) => ({ name, value })),
    ],
    ports: [
      { name: "cutline-inbound", containerPort: ports.inbound, protocol: "TCP" },
      { name: "cutline-link", containerPort: ports.link, protocol: "TCP" },
      { name: "cutline-health", containerPort: ports.health, protocol: "TCP" },
    ],
    startupProbe: { ...health, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: startTriesMax },
    readinessProbe: { httpGet: { path: "/readyz", port: ports.health }, periodSeconds: 5, timeoutSeconds: 3 },
    securityContext: { ...restricted, runAsUser: user, runAsGroup: user },
    resources: resourcesOf(settings.resources),
    volumeMounts: [
      { name: volumes.tmp, mountPath: paths.tmp },
      ...(tls
        ? [
            { name: volumes.identity, mountPath: paths.identity },
            { name: volumes.token, mountPath: paths.token, readOnly: true },
          ]
        : []),
      ...captureMounts(settings.capture, application.container),
    ],
  };
}

function variables({ policy, settings, application, stopGraceMs }: AgentSpec, labels: string) {
  const service = `${policy.agentsService}.${policy.coordinatorNamespace}.svc`;
  const { meshAuthorities } = policy;
  const given: readonly (readonly [name: string, value: string | undefined])[] = [
    ["CUTLINE_PROCESS_ID", "$(POD_NAMESPACE)/$(POD_NAME)"],
    ["CUTLINE_COORDINATOR_ADDRESS", `${service}:${ports.coordinator}`],
    ["CUTLINE_APPLICATION_ADDRESS", `127.0.0.1:${application.port}`],
    ["CUTLINE_CAPTURE", literal(settings.capture)],
    ["CUTLINE_TRAFFIC", settings.traffic],
    ["CUTLINE_LABELS", labels || undefined],
    ["CUTLINE_AUTHORITIES", settings.authorities.join(",") || undefined],
    // Redirected connections to an IPv6 address arrive at ::1.
    ["CUTLINE_OUTBOUND_HOST", settings.traffic === "redirect" ? "127.0.0.1,::1" : undefined],
    ["CUTLINE_INBOUND_HOST", "$(POD_IPS)"],
    ["CUTLINE_LINK_HOST", "$(POD_IP)"],
    ["CUTLINE_LINK_ADVERTISED_HOST", "$(POD_IP)"],
    ["CUTLINE_HEALTH_HOST", "$(POD_IP)"],
    ["CUTLINE_HEALTH_PORT", String(ports.health)],
    ["CUTLINE_READINESS", settings.readiness],
    ["CUTLINE_LOG_LEVEL", settings.logLevel],
    ["CUTLINE_STOP_GRACE_MS", String(stopGraceMs)],
    ...(meshAuthorities === undefined
      ? []
      : ([
          ["CUTLINE_IDENTITY_URL", `https://${service}:${ports.identity}`],
          ["CUTLINE_IDENTITY_TOKEN_FILE", `${paths.token}/token`],
          ["CUTLINE_IDENTITY_FOLDER", paths.identity],
          ["CUTLINE_IDENTITY_AUTHORITIES", meshAuthorities],
        ] as const)),
  ];
  return given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

/** Writes the rules and ends. It is the only container that needs a privilege. */
export function redirectSpec({ policy, settings, application }: AgentSpec): Container {
  return {
    name: redirectContainer,
    image: policy.image,
    imagePullPolicy: policy.imagePullPolicy,
    command: ["cutline-redirect"],
    env: [
      { name: "CUTLINE_REDIRECT_APPLICATION_PORT", value: String(application.port) },
      { name: "CUTLINE_REDIRECT_OUTBOUND_PORTS", value: settings.outboundPorts.join(",") },
      { name: "CUTLINE_REDIRECT_AGENT_USER", value: String(redirectUser) },
    ],
    securityContext: {
      ...restricted,
      capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
    },
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "128Mi" } },
  };
}

export function volumeSpecs(policy: InjectionPolicy): readonly JsonObject[] {
  const tmp = { name: volumes.tmp, emptyDir: {} };
  if (policy.meshAuthorities === undefined) return [tmp];
  const token = { audience: tokenAudience, expirationSeconds: 3_600, path: "token" };
  return [
    tmp,
    { name: volumes.identity, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    { name: volumes.token, projected: { sources: [{ serviceAccountToken: token }] } },
  ];
}

/** What belongs to a generation of the pod rather than to the process. */
const generatedLabels =
  /^(pod-template-hash|controller-revision-hash|pod-template-generation|controller-uid|batch\.kubernetes\.io\/.*|statefulset\.kubernetes\.io\/pod-name|apps\.kubernetes\.io\/pod-index)$/;
/** As many as the agent's setting takes. */
const [labelsMax, labelCharsMax] = [64, 4_096];

/** For `CUTLINE_LABELS`; what does not fit is left out, last names first. */
export function labelList(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels)
    .filter(([key]) => key !== injectLabel && !generatedLabels.test(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .slice(0, labelsMax);
  while (pairs.join(",").length > labelCharsMax) pairs.pop();
  return pairs.join(",");
}

function fromField(name: string, fieldPath: string): JsonObject {
  return { name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } };
}

function resourcesOf({ cpuRequest, cpuLimit, memoryRequest, memoryLimit }: Resources): JsonObject {
  const of = (cpu: string | undefined, memory: string | undefined) =>
    cpu === undefined && memory === undefined
      ? undefined
      : { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) };
  const [requests, limits] = [of(cpuRequest, memoryRequest), of(cpuLimit, memoryLimit)];
  return { ...(requests && { requests }), ...(limits && { limits }) };
}
