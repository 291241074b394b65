import { createPrivateKey, X509Certificate } from "node:crypto";
import { uriNamesOf, validity } from "@cutline/runtime";
import type { KubeClient } from "../api/client.ts";
import { isKubeError } from "../api/errors.ts";
import { IdentityError } from "./errors.ts";
import { type Authority, type AuthorityState, bundleOf } from "./rotation.ts";

/** The authorities as one Secret holds them. */
export interface SecretVersion {
  /** `undefined`: the Secret is empty. */
  readonly state: AuthorityState | undefined;
  /** As the API gave it: the base of the next write. */
  readonly object: SecretObject;
}

interface SecretObject {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

export interface SecretOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** The URI name of its authorities; `undefined`: they have none. */
  readonly uri: string | undefined;
}

/** What programs read. */
const stateKey = "state";
/** For people, and for whoever has to believe the authorities without asking. */
const bundleKey = "ca.crt";
const authoritiesMax = 20;

interface StoredAuthority {
  readonly certificate: string;
  readonly key?: string;
  readonly believedSince: string;
  readonly issuesSince?: string;
  readonly issuedLifeMsMax: number;
  readonly retiredSince?: string;
}

/** One Secret of the API. It is read and updated, never created: whoever installs Cutline owns it, and removes it. */
export class AuthoritySecret {
  readonly #options: SecretOptions;

  constructor(options: SecretOptions) {
    this.#options = options;
  }

  /** Rejects with a `KubeError`, or an `IdentityError`. */
  async read(): Promise<SecretVersion> {
    const { client, name, namespace, uri } = this.#options;
    try {
      const object = await client.send<SecretObject>({ method: "GET", path: this.#path });
      const text = object.data?.[stateKey];
      if (text === undefined || text === "") return { state: undefined, object };
      return { state: parseState(Buffer.from(text, "base64").toString("utf8"), uri), object };
    } catch (error) {
      if (isKubeError(error, "KubeNotFound")) {
        const message = `there is no Secret ${namespace}/${name}; the chart makes it, or: kubectl -n ${namespace} create secret generic ${name}`;
        throw new IdentityError("SecretMissing", message, { cause: error });
      }
      if (!(error instanceof IdentityError)) throw error;
      const remedy = `restore it from a backup, or empty it (every pod with an agent must be restarted then): kubectl -n ${namespace} patch secret ${name} --type=json -p '[{"op":"remove","path":"/data"}]'`;
      throw new IdentityError("SecretInvalid", `the Secret ${namespace}/${name} ${error.message}; ${remedy}`);
    }
  }

  /** Based on what was read: a write by another replica in between rejects with `KubeConflict`. */
  async write({ object }: SecretVersion, state: AuthorityState): Promise<void> {
    const data = { ...object.data, [stateKey]: base64(formatState(state)), [bundleKey]: base64(bundleOf(state)) };
    const body = { ...object, apiVersion: "v1", kind: "Secret", data };
    await this.#options.client.send({ method: "PUT", path: this.#path, body });
  }

  get #path(): string {
    const { namespace, name } = this.#options;
    return `/api/v1/namespaces/${namespace}/secrets/${name}`;
  }
}

function formatState({ authorities }: AuthorityState): string {
  const stored = authorities.map((each): StoredAuthority => {
    const { certificate, key, believedSinceMs, issuesSinceMs, issuedLifeMsMax, retiredSinceMs } = each;
    return {
      certificate,
      ...(key !== undefined && { key }),
      believedSince: timeOf(believedSinceMs),
      ...(issuesSinceMs !== undefined && { issuesSince: timeOf(issuesSinceMs) }),
      issuedLifeMsMax,
      ...(retiredSinceMs !== undefined && { retiredSince: timeOf(retiredSinceMs) }),
    };
  });
  return JSON.stringify({ version: 1, authorities: stored });
}

/** Throws `SecretInvalid`; the message goes behind the Secret's name and quotes nothing: it may be a key. */
function parseState(text: string, uri: string | undefined): AuthorityState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("is not JSON");
  }
  const { version, authorities } = record(value);
  if (version !== 1) throw invalid("is of a version that this coordinator does not know");
  if (!Array.isArray(authorities) || authorities.length > authoritiesMax) throw invalid("has no list of authorities");
  const state = { authorities: authorities.map((each) => parseAuthority(record(each), uri)) };
  const issuing = state.authorities.filter(({ key }) => key !== undefined).length;
  const active = state.authorities.filter(
    ({ issuesSinceMs, retiredSinceMs }) => issuesSinceMs !== undefined && retiredSinceMs === undefined,
  ).length;
  if (active !== 1 || issuing > 2) throw invalid("has not exactly one authority that issues");
  return state;
}

function parseAuthority(stored: Record<string, unknown>, uri: string | undefined): Authority {
  const { certificate, key, issuedLifeMsMax, issuesSince, retiredSince } = stored;
  if (typeof certificate !== "string" || (key !== undefined && typeof key !== "string")) {
    throw invalid("has an authority without a certificate");
  }
  if (typeof issuedLifeMsMax !== "number" || !(issuedLifeMsMax > 0)) throw invalid("has an authority without a life");
  const retiredSinceMs = retiredSince === undefined ? undefined : msOf(retiredSince);
  if ((key === undefined) !== (retiredSinceMs !== undefined)) {
    throw invalid("has an authority that issues and has no key, or the other way round");
  }
  return {
    certificate,
    key,
    untilMs: checkedEnd(certificate, key, uri),
    believedSinceMs: msOf(stored.believedSince),
    issuesSinceMs: issuesSince === undefined ? undefined : msOf(issuesSince),
    issuedLifeMsMax,
    retiredSinceMs,
  };
}

function checkedEnd(pem: string, key: string | undefined, uri: string | undefined): number {
  let certificate: X509Certificate;
  let isKeyRight: boolean;
  try {
    certificate = new X509Certificate(pem);
    isKeyRight = key === undefined || certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw invalid("has an authority whose certificate or key cannot be read");
  }
  if (!certificate.ca || !isKeyRight) throw invalid("has an authority whose certificate and key do not fit");
  const [named] = uriNamesOf(certificate) ?? [];
  if (named !== uri) {
    throw invalid(`has the authority ${named ?? "without a name"}, and this mesh is ${uri}: see its trust domain`);
  }
  return validity(certificate).untilMs;
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw invalid("is no object where one should be");
  return value as Record<string, unknown>;
}

function msOf(value: unknown): number {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) throw invalid("has an authority with a time that is none");
  return ms;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function invalid(message: string): IdentityError {
  return new IdentityError("SecretInvalid", `cannot be used: its data ${message}`);
}
