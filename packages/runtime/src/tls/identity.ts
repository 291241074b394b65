/** Who a certificate speaks for (docs/adr/0012-identity-is-a-uri.md). */
export type MeshIdentity =
  | { readonly kind: "process"; readonly trustDomain: string; readonly processId: string }
  | { readonly kind: "coordinator"; readonly trustDomain: string };

/** An identity before the certificate has told its trust domain. */
export type MeshName = { readonly kind: "process"; readonly processId: string } | { readonly kind: "coordinator" };

const label = "[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?";
const processIdPattern = new RegExp(`^${label}/${label}$`);
const trustDomainPattern = new RegExp(`^${label}$`);
const scheme = "spiffe://";

export function isProcessId(text: string): boolean {
  return processIdPattern.test(text);
}

export function isTrustDomain(text: string): boolean {
  return trustDomainPattern.test(text);
}

/** `spiffe://DOMAIN/process/NAMESPACE/NAME` or `spiffe://DOMAIN/coordinator`. */
export function identityUri(identity: MeshIdentity): string {
  return identity.kind === "process"
    ? `${scheme}${identity.trustDomain}/process/${identity.processId}`
    : `${scheme}${identity.trustDomain}/coordinator`;
}

/** The name of a mesh authority: its trust domain alone. */
export function authorityUri(trustDomain: string): string {
  return `${scheme}${trustDomain}`;
}

/** Exactly what {@link identityUri} writes; anything else is `undefined`. */
export function parseIdentity(uri: string): MeshIdentity | undefined {
  const [trustDomain, path] = split(uri);
  if (trustDomain === undefined || path === undefined) return undefined;
  if (path === "coordinator") return { kind: "coordinator", trustDomain };
  const processId = path.startsWith("process/") ? path.slice("process/".length) : "";
  return isProcessId(processId) ? { kind: "process", trustDomain, processId } : undefined;
}

/** The trust domain in the name of an authority; anything else is `undefined`. */
export function parseAuthorityUri(uri: string): string | undefined {
  const [trustDomain, path] = split(uri);
  return path === undefined ? trustDomain : undefined;
}

export function isSameName(left: MeshName, right: MeshName): boolean {
  if (left.kind === "process") return right.kind === "process" && left.processId === right.processId;
  return right.kind === "coordinator";
}

/** For people: `process bank/a`, `the coordinator`. */
export function describeName(name: MeshName): string {
  return name.kind === "process" ? `process ${name.processId}` : "the coordinator";
}

function split(uri: string): readonly [trustDomain?: string, path?: string] {
  if (!uri.startsWith(scheme)) return [];
  const rest = uri.slice(scheme.length);
  const slash = rest.indexOf("/");
  const trustDomain = slash < 0 ? rest : rest.slice(0, slash);
  if (!isTrustDomain(trustDomain)) return [];
  return slash < 0 ? [trustDomain] : [trustDomain, rest.slice(slash + 1)];
}
