import type { JsonObject } from "./json.ts";
import { agentContainer, redirectContainer, statusAnnotation, volumes } from "./names.ts";
import type { Container, Pod } from "./pod.ts";
import { restoreProbes } from "./probes.ts";
import { addedTo, type InjectedStatus } from "./status.ts";
import { unequip } from "./variables.ts";

const ownContainers: readonly string[] = [agentContainer, redirectContainer];
const ownVolumes: readonly unknown[] = Object.values(volumes);

export const isOwnContainer = ({ name }: Container) => ownContainers.includes(name);
export const isOwnVolume = ({ name }: JsonObject) => ownVolumes.includes(name);

/** The pod without what the injection of `status` had put in. */
export function strip(pod: Pod, status: InjectedStatus): Pod {
  const restore = (container: Container) => {
    const bare = unequip(container, addedTo(container, status));
    return status.traffic === "redirect" ? restoreProbes(bare, status.port) : bare;
  };
  const { [statusAnnotation]: _, ...annotations } = pod.annotations;
  return {
    ...pod,
    annotations,
    containers: pod.containers.filter((container) => !isOwnContainer(container)).map(restore),
    initContainers: pod.initContainers.filter((container) => !isOwnContainer(container)).map(restore),
    volumes: pod.volumes.filter((volume) => !isOwnVolume(volume)),
  };
}

/** The document that was read, with the parts that injection changes as they are in `pod`. */
export function compose(original: JsonObject, pod: Pod): JsonObject {
  const metadata = replaced(pod.metadata, "annotations", pod.annotations);
  let spec = replaced(pod.spec, "containers", pod.containers);
  spec = replaced(spec, "initContainers", pod.initContainers);
  spec = replaced(spec, "volumes", pod.volumes);
  return { ...original, metadata, spec };
}

/** What is empty and was not there stays away. */
function replaced(object: JsonObject, key: string, value: JsonObject | readonly JsonObject[]): JsonObject {
  if (Object.keys(value).length > 0) return { ...object, [key]: value };
  const { [key]: _, ...rest } = object;
  return rest;
}
