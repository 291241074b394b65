import type { AgentHello } from "@cutline/proto/control";
import { aliasesByTarget, fullNameOf } from "./aliases.ts";
import { type Endpoint, type EndpointSliceObject, type ServiceObject, serviceNameLabel } from "./objects.ts";

/** What of a process decides which authorities lead to it. */
export type NamedProcess = Pick<AgentHello, "processId" | "linkAddress" | "applicationPort" | "inboundPort">;

/** One way to an endpoint, as callers write it. */
type Way =
  /** A virtual address or its name: `port` is the Service's, by number or by name, and leads to `targetPort` of the pod. */
  | {
      readonly to: "service";
      readonly hosts: readonly string[];
      readonly port: number | string;
      readonly targetPort: number;
    }
  /** A name of the pod's own address: the port is the pod's. */
  | { readonly to: "pod"; readonly hosts: readonly string[] };

interface Ways {
  /** By `NAMESPACE/POD`. */
  readonly byPod: ReadonlyMap<string, readonly Way[]>;
  /** By the address of endpoints that name no pod. */
  readonly byAddress: ReadonlyMap<string, readonly Way[]>;
}

/** What Services and EndpointSlices say, arranged for being asked process by process. */
export interface Picture extends Ways {
  /** To endpoints that get no new calls now. */
  readonly closed: Ways;
}

const noWays: Ways = { byPod: new Map(), byAddress: new Map() };
export const emptyPicture: Picture = { ...noWays, closed: noWays };

/** The same objects give the same picture, in whatever order they come. */
export function pictureOf(
  services: readonly ServiceObject[],
  slices: readonly EndpointSliceObject[],
  clusterDomain: string,
): Picture {
  const aliases = aliasesByTarget(services, clusterDomain);
  const waysTo = { byPod: new Map<string, Way[]>(), byAddress: new Map<string, Way[]>() };
  const closed: typeof waysTo = { byPod: new Map(), byAddress: new Map() };
  const withAliases = (name: string) => [name, ...(aliases.get(name) ?? [])];
  const slicesOf = Map.groupBy(
    slices.filter(({ addressType }) => addressType === "IPv4" || addressType === "IPv6"),
    ({ metadata }) => `${metadata.namespace}/${metadata.labels?.[serviceNameLabel] ?? ""}`,
  );
  for (const service of services) {
    const { metadata, spec } = service;
    const own = slicesOf.get(`${metadata.namespace}/${metadata.name}`) ?? [];
    // Which endpoint a caller may use depends on the caller's node: no directory for all can say that.
    if (spec?.type === "ExternalName" || spec?.internalTrafficPolicy === "Local") continue;
    const name = fullNameOf(service, clusterDomain);
    const isHeadless = spec?.clusterIP === "None";
    const isOpen = openEndpoints(service, own);
    for (const slice of own) {
      const shared = isHeadless
        ? [{ to: "pod" as const, hosts: withAliases(name) }]
        : virtualWays(service, slice, withAliases(name));
      for (const endpoint of slice.endpoints ?? []) {
        const hostname = isHeadless ? endpoint.hostname : undefined;
        const ways: Way[] = hostname ? [...shared, { to: "pod", hosts: withAliases(`${hostname}.${name}`) }] : shared;
        addWays(isOpen(endpoint) ? waysTo : closed, endpoint, slice, ways);
      }
    }
  }
  return { ...waysTo, closed };
}

function addWays(
  { byPod, byAddress }: Record<keyof Ways, Map<string, Way[]>>,
  { targetRef, addresses }: Endpoint,
  { metadata }: EndpointSliceObject,
  ways: readonly Way[],
): void {
  if (targetRef?.kind === "Pod" && targetRef.name !== undefined) {
    add(byPod, `${targetRef.namespace ?? metadata.namespace}/${targetRef.name}`, ways);
  } else for (const address of addresses) add(byAddress, address, ways);
}

function add(map: Map<string, Way[]>, key: string, ways: readonly Way[]): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [...ways]);
  else known.push(...ways);
}

/**
 * Who gets new calls: what is ready; where nothing is, what still serves while it terminates, as kube-proxy does it (DNS
 * does not, so not for headless ones). Calls that are open go on whatever this says.
 */
function openEndpoints(
  { spec }: ServiceObject,
  slices: readonly EndpointSliceObject[],
): (endpoint: Endpoint) => boolean {
  if (spec?.publishNotReadyAddresses === true) return () => true;
  const isReady = ({ conditions }: Endpoint) => (conditions?.ready ?? true) && conditions?.terminating !== true;
  const hasReady = slices.some(({ endpoints }) => endpoints?.some(isReady));
  if (hasReady || spec?.clusterIP === "None") return isReady;
  return ({ conditions }) => conditions?.terminating === true && (conditions.serving ?? conditions.ready ?? true);
}

/** By the Service's name and addresses; ports of both are told apart by their names. */
function virtualWays({ spec }: ServiceObject, { ports }: EndpointSliceObject, names: readonly string[]): Way[] {
  const addresses = new Set([...(spec?.clusterIPs ?? []), spec?.clusterIP ?? ""].filter((address) => address !== ""));
  const ways: Way[] = [];
  for (const { name = "", port, protocol = "TCP" } of spec?.ports ?? []) {
    if (protocol !== "TCP") continue;
    for (const target of ports ?? []) {
      if ((target.name ?? "") !== name || (target.protocol ?? "TCP") !== "TCP" || target.port == null) continue;
      ways.push({ to: "service", hosts: [...names, ...[...addresses].map(inBrackets)], port, targetPort: target.port });
      // Not for DNS, but resolvers that ask the API write a port's name.
      if (name !== "") ways.push({ to: "service", hosts: names, port: name, targetPort: target.port });
    }
  }
  return ways;
}

/**
 * The authorities under which the process's application is called, sorted. Only the application's port counts: what else its pod
 * serves is environment. None for a process whose agent does not tell the port.
 */
export function authoritiesOf(picture: Picture, process: NamedProcess): string[] {
  const address = hostOf(process.linkAddress);
  // A pod is called at its own address whether it is ready or not.
  const own = isPodAddress(address) ? portsOf(process).map((port) => `${inBrackets(address)}:${port}`) : [];
  return [...new Set([...own, ...namesOf(picture, process)])].sort();
}

/** Those under which it would be called, were it ready and not about to end; sorted. */
export function closedAuthoritiesOf(picture: Picture, process: NamedProcess): string[] {
  const open = new Set(authoritiesOf(picture, process));
  return [...new Set(namesOf(picture.closed, process))].filter((authority) => !open.has(authority)).sort();
}

function namesOf({ byPod, byAddress }: Ways, process: NamedProcess): string[] {
  const ports = portsOf(process);
  const ways = [...(byPod.get(process.processId) ?? []), ...(byAddress.get(hostOf(process.linkAddress)) ?? [])];
  return ways.flatMap((way) => {
    const written = way.to === "pod" ? ports : ports.includes(way.targetPort) ? [way.port] : [];
    return way.hosts.flatMap((host) => written.map((port) => `${host}:${port}`));
  });
}

function portsOf({ applicationPort, inboundPort }: NamedProcess): number[] {
  return [applicationPort, inboundPort].flatMap((port) => (port !== undefined && port > 0 ? [port] : []));
}

function hostOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf(":"))).replace(/^\[|\]$/g, "");
}

function inBrackets(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** An address that means the same everywhere in the cluster. */
function isPodAddress(host: string): boolean {
  const isAddress = host.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(host);
  return isAddress && !host.startsWith("127.") && !["::1", "::", "0.0.0.0"].includes(host);
}
