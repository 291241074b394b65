import type { ServiceObject } from "./objects.ts";

/** An ExternalName may lead to another one, so often. */
const hopsMax = 8;

/** `NAME.NAMESPACE.svc.DOMAIN`. */
export function fullNameOf({ metadata }: ServiceObject, clusterDomain: string): string {
  return `${metadata.name}.${metadata.namespace}.svc.${clusterDomain}`;
}

/**
 * The names of the Services of type ExternalName, by the name inside of the cluster at which they end. Those that lead out of
 * the cluster, or in a circle, are not there.
 */
export function aliasesByTarget(
  services: readonly ServiceObject[],
  clusterDomain: string,
): ReadonlyMap<string, readonly string[]> {
  const next = new Map<string, string>();
  for (const service of services) {
    const target = targetOf(service, clusterDomain);
    if (target !== undefined) next.set(fullNameOf(service, clusterDomain), target);
  }
  const aliases = new Map<string, string[]>();
  for (const alias of [...next.keys()].sort()) {
    const end = endOf(alias, next);
    if (end === undefined) continue;
    const known = aliases.get(end);
    if (known === undefined) aliases.set(end, [alias]);
    else known.push(alias);
  }
  return aliases;
}

function targetOf(service: ServiceObject, clusterDomain: string): string | undefined {
  if (service.spec?.type !== "ExternalName") return undefined;
  const name = service.spec.externalName?.toLowerCase().replace(/\.$/, "");
  return name?.endsWith(`.svc.${clusterDomain}`) ? name : undefined;
}

function endOf(alias: string, next: ReadonlyMap<string, string>): string | undefined {
  let name = alias;
  for (let hops = 0; hops < hopsMax; hops += 1) {
    const further = next.get(name);
    if (further === undefined) return name;
    name = further;
  }
  return undefined;
}
