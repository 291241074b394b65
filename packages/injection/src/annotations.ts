import { annotationPrefix, statusAnnotation } from "./names.ts";
import { Refused } from "./outcome.ts";
import {
  type ClientStack,
  clientStacks,
  type InjectionPolicy,
  logLevels,
  type Resources,
  readinessRules,
  type TrafficMode,
  trafficModes,
} from "./policy.ts";

/** What a pod asks for, with the policy's values where it says nothing. */
export interface PodSettings {
  /** `participant`, `http://127.0.0.1:PORT/PATH`, `file:///PATH` or `none`. */
  readonly capture: string;
  /** A number or the name of a container's port; `undefined`: the first port of the container. */
  readonly applicationPort: string | undefined;
  readonly container: string | undefined;
  readonly traffic: TrafficMode;
  readonly outboundPorts: readonly number[];
  readonly noProxy: readonly string[];
  readonly clients: readonly ClientStack[];
  readonly authorities: readonly string[];
  readonly readiness: string | undefined;
  readonly logLevel: string | undefined;
  readonly resources: Resources;
}

const listItemsMax = 64;

type Reader = (text: string) => { readonly value: unknown } | { readonly wanted: string };

const port: Reader = (text) =>
  isPort(text) || /^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/.test(text)
    ? { value: text }
    : { wanted: "a port from 1 to 65535, or the name of a container's port" };

const quantity: Reader = (text) =>
  /^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/.test(text)
    ? { value: text }
    : { wanted: "a quantity: 100m, 0.5, 128Mi" };

/** Every annotation a pod may carry; others with the prefix are refused. */
const readers = {
  capture: (text: string) =>
    text === "participant" ||
    text === "none" ||
    /^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}(\/\S*)?$/.test(text) ||
    /^file:\/\/\/\S+$/.test(text)
      ? { value: text }
      : { wanted: "participant, http://127.0.0.1:PORT/PATH, file:///PATH, or none" },
  "application-port": port,
  container: (text: string) =>
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text) ? { value: text } : { wanted: "the name of a container" },
  traffic: oneOf(trafficModes),
  "outbound-ports": listOf("ports from 1 to 65535", isPort, Number),
  // One empty item would match every host in grpc-js.
  "no-proxy": listOf("hosts, suffixes of hosts, or address ranges", (item) => /^[A-Za-z0-9._:/*-]{1,253}$/.test(item)),
  clients: listOf(`some of ${clientStacks.join(", ")}`, (item) => (clientStacks as readonly string[]).includes(item)),
  authorities: listOf("host:port names", (item) =>
    /^([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$/.test(item),
  ),
  readiness: oneOf(readinessRules),
  "log-level": oneOf(logLevels),
  "agent-cpu-request": quantity,
  "agent-cpu-limit": quantity,
  "agent-memory-request": quantity,
  "agent-memory-limit": quantity,
} satisfies Record<string, Reader>;

/** Throws {@link Refused} that names every annotation that is wrong. */
export function readAnnotations(annotations: Readonly<Record<string, string>>, policy: InjectionPolicy): PodSettings {
  const values = new Map<string, unknown>();
  const invalid: string[] = [];
  const unknown: string[] = [];
  for (const [key, text] of Object.entries(annotations)) {
    if (!key.startsWith(annotationPrefix) || key === statusAnnotation) continue;
    const name = key.slice(annotationPrefix.length);
    const reader = Object.hasOwn(readers, name) ? (readers as Record<string, Reader>)[name] : undefined;
    if (reader === undefined) {
      unknown.push(key);
      continue;
    }
    const read = reader(text.trim());
    if ("value" in read) values.set(name, read.value);
    else invalid.push(`${key} is ${JSON.stringify(text.slice(0, 100))}, and must be ${read.wanted}`);
  }
  if (unknown.length > 0) {
    const known = Object.keys(readers).map((name) => `${annotationPrefix}${name}`);
    const message = `there is no annotation ${unknown.join(", ")}; there are ${known.join(", ")}`;
    throw new Refused("AnnotationUnknown", [message, ...invalid].join("; "));
  }
  if (invalid.length > 0) throw new Refused("AnnotationInvalid", invalid.join("; "));
  const get = <Value>(name: keyof typeof readers) => values.get(name) as Value | undefined;
  return {
    capture: get<string>("capture") ?? "none",
    applicationPort: get("application-port"),
    container: get("container"),
    traffic: get<TrafficMode>("traffic") ?? policy.traffic,
    outboundPorts: get<number[]>("outbound-ports") ?? policy.outboundPorts,
    noProxy: [...policy.noProxy, ...(get<string[]>("no-proxy") ?? [])],
    clients: get<ClientStack[]>("clients") ?? policy.clients,
    authorities: get<string[]>("authorities") ?? [],
    readiness: get("readiness"),
    logLevel: get("log-level"),
    resources: {
      cpuRequest: get<string>("agent-cpu-request") ?? policy.resources.cpuRequest,
      cpuLimit: get<string>("agent-cpu-limit") ?? policy.resources.cpuLimit,
      memoryRequest: get<string>("agent-memory-request") ?? policy.resources.memoryRequest,
      memoryLimit: get<string>("agent-memory-limit") ?? policy.resources.memoryLimit,
    },
  };
}

export function isPort(text: string): boolean {
  return /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function oneOf(choices: readonly string[]): Reader {
  return (text) => (choices.includes(text) ? { value: text } : { wanted: `one of ${choices.join(", ")}` });
}

function listOf(what: string, accepts: (item: string) => boolean, convert: (item: string) => unknown = String): Reader {
  return (text) => {
    const items = text === "" ? [] : text.split(",").map((item) => item.trim());
    if (items.length > listItemsMax || !items.every(accepts)) {
      return { wanted: `${what}, separated by commas, at most ${listItemsMax}` };
    }
    return { value: [...new Set(items)].map(convert) };
  };
}
