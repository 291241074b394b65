/**
 * What an authority of a cluster may mean, in the order in which a pod's resolver tries it: relative to the caller's own
 * namespace, to all namespaces, to the cluster, and as it is. A name with a dot at its end is whole already; addresses mean
 * themselves. At most four; none for what is no `host:port`.
 */
export function searchNames(authority: string, namespace: string, clusterDomain: string): string[] {
  const match = /^([A-Za-z0-9_.-]{1,253}):([A-Za-z0-9-]{1,63})$/.exec(authority);
  const host = match?.[1]?.toLowerCase();
  const port = match?.[2];
  if (host === undefined || /^[\d.]+$/.test(host)) return [];
  const names = host.endsWith(".")
    ? [host.slice(0, -1)]
    : [`${host}.${namespace}.svc.${clusterDomain}`, `${host}.svc.${clusterDomain}`, `${host}.${clusterDomain}`, host];
  return names.map((name) => `${name}:${port}`);
}
