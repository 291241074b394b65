import { createHash } from "node:crypto";
import { agentSpec, labelList, redirectSpec, volumeSpecs } from "./agent.ts";
import { type PodSettings, readAnnotations } from "./annotations.ts";
import { type Application, checkPorts, findApplication } from "./application.ts";
import { canonical, isObject, type Json } from "./json.ts";
import { diff } from "./json-patch.ts";
import { agentContainer, injectLabel, redirectUser, statusAnnotation } from "./names.ts";
import { type Outcome, Refused, type Skip, type SkipReason } from "./outcome.ts";
import { objectAt, objectsAt, type Pod, readPod } from "./pod.ts";
import type { InjectionPolicy } from "./policy.ts";
import { moveProbes } from "./probes.ts";
import { addedTo, type InjectedStatus, readStatus } from "./status.ts";
import { compose, isOwnContainer, isOwnVolume, strip } from "./strip.ts";
import { equip } from "./variables.ts";

export interface InjectionRequest {
  /** A pod, or the template of one: `{metadata, spec}`. */
  readonly pod: Json;
  /** Where it is, or is to be; where it is not known, nothing is spared for its namespace. */
  readonly namespace: string | undefined;
  readonly policy: InjectionPolicy;
}

const systemNamespaces: readonly unknown[] = ["kube-system", "kube-public", "kube-node-lease"];
const ownLabels = ["app.kubernetes.io/name", "app.kubernetes.io/part-of"];

/**
 * What puts an agent beside the pod's application: operations on the pod, a reason why nothing is done, or what is wrong
 * with it. Applied to its own result it does nothing; a pod of another revision is brought to this one. Never throws.
 */
export function inject(request: InjectionRequest): Outcome {
  return refusable(() => {
    const pod = readPod(request.pod);
    return whyNot(pod, request) ?? injectInto(pod, request);
  });
}

/** What takes an injected agent away again. */
export function remove(value: Json): Outcome {
  return refusable(() => {
    const pod = readPod(value);
    const status = readStatus(pod.annotations[statusAnnotation]);
    if (status === undefined) return skipped("NotAsked", "no agent was injected into this pod");
    const operations = diff(value, compose(objectAt(value, "the pod"), strip(pod, status)));
    return { outcome: "patch", operations, warnings: [], revision: "" };
  });
}

function refusable(work: () => Outcome): Outcome {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
}

function skipped(reason: SkipReason, message: string, warnings: readonly string[] = []): Skip {
  return { outcome: "skipped", reason, message, warnings };
}

function whyNot(pod: Pod, { namespace, policy }: InjectionRequest): Skip | undefined {
  const asked = pod.labels[injectLabel];
  if (asked === "false") return skipped("NotAsked", `the label ${injectLabel} is "false"`);
  if (asked !== undefined && asked !== "true") {
    throw new Refused("AnnotationInvalid", `the label ${injectLabel} is "${asked}", and must be "true" or "false"`);
  }
  const where = namespace ?? pod.metadata.namespace;
  if (systemNamespaces.includes(where)) return skipped("SystemNamespace", `pods of ${where} are left alone`);
  if (where === policy.coordinatorNamespace && ownLabels.some((label) => pod.labels[label] === "cutline")) {
    return skipped("OwnPod", "this is a pod of Cutline itself");
  }
  if ("kubernetes.io/config.mirror" in pod.annotations) {
    return skipped("StaticPod", "the kubelet makes this pod from a file, and nothing can be added to it here");
  }
  return undefined;
}

function injectInto(pod: Pod, { pod: original, policy }: InjectionRequest): Outcome {
  const status = readStatus(pod.annotations[statusAnnotation]);
  checkPod(pod, status, policy);
  const bare = status === undefined ? pod : strip(pod, status);
  const settings = readAnnotations(bare.annotations, policy);
  const application = findApplication(bare, settings);
  checkPorts(bare, application);
  if (settings.traffic === "redirect") checkUsers(bare);

  const [stopGraceMs, hints] = stopGrace(pod);
  const spec = { policy, settings, application, stopGraceMs };
  const agent = agentSpec(spec, labelList(pod.labels));
  const redirect = settings.traffic === "redirect" ? [redirectSpec(spec)] : [];
  const volumes = volumeSpecs(policy);
  const revision = revisionOf([policy.version, settings.noProxy, settings.clients, agent, redirect, volumes]);

  const home = policy.nativeSidecars ? pod.initContainers : pod.containers;
  // What others have done to it since (defaults, limits of the namespace) is not undone.
  const kept = status?.revision === revision && home.some(({ name }) => name === agentContainer);
  const equipped = equipAll(kept ? pod : bare, settings, kept ? status : undefined);
  const moved = settings.traffic === "redirect" ? moveAllProbes(equipped.pod, application) : equipped.pod;
  const withAgent: Pod = kept
    ? moved
    : {
        ...moved,
        initContainers: policy.nativeSidecars
          ? [...redirect, agent, ...moved.initContainers]
          : [...moved.initContainers, ...redirect],
        // The last, because the first is the one that kubectl means when it is given none.
        containers: policy.nativeSidecars ? moved.containers : [...moved.containers, agent],
        volumes: [...moved.volumes, ...volumes],
      };
  const { name: container } = application.container;
  const { version } = policy;
  const { traffic } = settings;
  const done: InjectedStatus = {
    version,
    traffic,
    container,
    port: application.port,
    revision,
    variables: equipped.added,
  };
  const annotations = { ...withAgent.annotations, [statusAnnotation]: JSON.stringify(done) };
  const operations = diff(original, compose(objectAt(original, "the pod"), { ...withAgent, annotations }));
  const warnings = [...equipped.warnings, ...hints, ...redirectHints(settings)];
  if (operations.length === 0)
    return skipped("AlreadyInjected", `the agent of revision ${revision} is there`, warnings);
  return { outcome: "patch", operations, warnings, revision };
}

function checkPod(pod: Pod, status: InjectedStatus | undefined, policy: InjectionPolicy): void {
  const { spec } = pod;
  if (spec.hostNetwork === true) {
    const message = `the pod has hostNetwork: true, so its agent would share its ports with the whole node; take hostNetwork away, or the label ${injectLabel}`;
    throw new Refused("HostNetwork", message);
  }
  const selector = objectAt(spec.nodeSelector, "spec.nodeSelector");
  if (objectAt(spec.os, "spec.os").name === "windows" || selector["kubernetes.io/os"] === "windows") {
    throw new Refused("WindowsPod", `agents run on Linux only; take the label ${injectLabel} from this pod`);
  }
  if (!policy.nativeSidecars && isOfJob(pod)) {
    const message =
      "an agent as an ordinary container would keep this pod from ever completing; that takes native sidecars (Kubernetes 1.29)";
    throw new Refused("JobNeedsNativeSidecars", message);
  }
  if (status !== undefined) return;
  const container = [...pod.containers, ...pod.initContainers].find(isOwnContainer);
  if (container !== undefined) {
    const message = `the pod has a container ${container.name} that was not injected; take it away, or the label ${injectLabel}`;
    throw new Refused("ContainerTaken", message);
  }
  const volume = pod.volumes.find(isOwnVolume);
  if (volume !== undefined) {
    throw new Refused("VolumeTaken", `the pod has a volume ${String(volume.name)}; give it another name`);
  }
}

function isOfJob({ metadata, spec }: Pod): boolean {
  const owners = objectsAt(metadata.ownerReferences, "metadata.ownerReferences");
  const { restartPolicy = "Always" } = spec;
  return restartPolicy !== "Always" || owners.some(({ kind }) => kind === "Job");
}

function checkUsers(pod: Pod): void {
  const clash = (holder: Json | undefined, where: string) => {
    if (!isObject(holder) || !isObject(holder.securityContext)) return;
    if (holder.securityContext.runAsUser !== redirectUser) return;
    const message = `${where} runs as user ${redirectUser}, whose traffic the agent's rules leave alone; let it run as another`;
    throw new Refused("UserClash", message);
  };
  clash(pod.spec, "the pod");
  for (const container of [...pod.containers, ...pod.initContainers]) clash(container, `container ${container.name}`);
}

/** What the agent takes beyond its grace period to leave. */
const leavingSeconds = 5;
const [graceSecondsMin, graceSecondsMax, graceSecondsDefault] = [1, 10, 30];

function stopGrace({ spec }: Pod): readonly [ms: number, hints: readonly string[]] {
  const given = spec.terminationGracePeriodSeconds;
  const seconds = typeof given === "number" ? given : graceSecondsDefault;
  const grace = Math.max(graceSecondsMin, Math.min(graceSecondsMax, Math.floor(seconds) - leavingSeconds));
  const wanted = graceSecondsMax + leavingSeconds;
  if (seconds >= wanted) return [grace * 1_000, []];
  const hint = `terminationGracePeriodSeconds is ${seconds}: open calls and running snapshots have ${grace} s to finish; with ${wanted} they have ${graceSecondsMax}`;
  return [grace * 1_000, [hint]];
}

function redirectHints({ traffic, outboundPorts }: PodSettings): readonly string[] {
  if (traffic !== "redirect" || outboundPorts.length > 0) return [];
  return [
    "cutline.dev/outbound-ports names no port: what this pod calls is not seen; list the ports of the services it calls",
  ];
}

function equipAll(pod: Pod, settings: PodSettings, before: InjectedStatus | undefined) {
  const added: Record<string, readonly string[]> = {};
  const warnings: string[] = [];
  const containers = pod.containers.map((container) => {
    if (isOwnContainer(container)) return container;
    const equipped = equip(container, settings, before === undefined ? [] : addedTo(container, before));
    if (equipped.added.length > 0) added[container.name] = equipped.added;
    warnings.push(...equipped.warnings);
    return equipped.container;
  });
  return { pod: { ...pod, containers }, added, warnings };
}

function moveAllProbes(pod: Pod, application: Application): Pod {
  const move = (list: Pod["containers"]) =>
    list.map((container) => (isOwnContainer(container) ? container : moveProbes(container, application)));
  return { ...pod, containers: move(pod.containers), initContainers: move(pod.initContainers) };
}

const revisionChars = 16;

function revisionOf(parts: Json): string {
  return createHash("sha256").update(canonical(parts)).digest("hex").slice(0, revisionChars);
}
