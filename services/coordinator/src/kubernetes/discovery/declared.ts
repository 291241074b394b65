import { fullNameOf } from "./aliases.ts";
import type { ServiceObject } from "./objects.ts";
import type { NamedProcess } from "./picture.ts";

/** By each way in which a Service's name may be written without a port: the namespaces in which there is such a Service. */
export type Holders = ReadonlyMap<string, ReadonlySet<string>>;

/** Whose names are taken. */
export function holdersOf(services: readonly ServiceObject[], clusterDomain: string): Holders {
  const holders = new Map<string, Set<string>>();
  for (const service of services) {
    const { name, namespace } = service.metadata;
    for (const written of [
      name,
      `${name}.${namespace}`,
      `${name}.${namespace}.svc`,
      fullNameOf(service, clusterDomain),
    ]) {
      const known = holders.get(written);
      if (known === undefined) holders.set(written, new Set([namespace]));
      else known.add(namespace);
    }
  }
  return holders;
}

/**
 * Whether an authority that the process's agent declares counts. Whoever may make pods in a namespace decides what is
 * declared there, so what others' calls are meant for is not to be had by declaring it: names of Services of other
 * namespaces, anything below `svc` in them, and addresses but the process's own. Names out of the cluster are anybody's.
 */
export function mayDeclare(
  authority: string,
  { processId, linkAddress }: NamedProcess,
  holders: Holders,
  clusterDomain: string,
): boolean {
  const host = hostOf(authority);
  const namespace = processId.split("/", 1)[0] ?? "";
  if (host.includes(":") || /^[\d.]+$/.test(host)) return host === hostOf(linkAddress);
  const below = host.endsWith(`.${clusterDomain}`) ? host.slice(0, -clusterDomain.length - 1) : host;
  const labels = below.split(".");
  if (labels.length > 1 && labels.at(-1) === "svc") return labels.at(-2) === namespace;
  // The second: a pod's own name stands before its Service's.
  const named = [below, labels.slice(1).join(".")].flatMap((name) => [...(holders.get(name) ?? [])]);
  return named.every((holder) => holder === namespace);
}

function hostOf(authority: string): string {
  const host = authority.slice(0, Math.max(0, authority.lastIndexOf(":"))).replace(/^\[|\]$/g, "");
  return host.toLowerCase().replace(/\.$/, "");
}
