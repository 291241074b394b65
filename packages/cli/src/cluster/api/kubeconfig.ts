import { existsSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { delimiter, join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { CliError, exitCodes, messageOf } from "../../errors.ts";
import type { Io } from "../../io.ts";
import { openForward, type PortForwarding } from "./port-forward.ts";

/** What of a kubeconfig to use, as kubectl's options of the same names say it. */
export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** A cluster, and the user of the kubeconfig in it. */
export interface ClusterAccess {
  readonly server: URL;
  readonly contextName: string;
  readonly namespace: string;
  /** Headers, certificates and proxy of the next request: tokens change. */
  options(): Promise<RequestOptions>;
  /** The user's bearer token; `undefined`: the user has none. */
  token(): Promise<string | undefined>;
  /** A port of this machine that leads to a port of the pod, through the API server. */
  forward(pod: { readonly namespace: string; readonly name: string }, port: number): Promise<PortForwarding>;
}

/** Throws a usage error when there is none, or when it names no cluster. */
export function openKubeconfig(io: Io, choice: ClusterChoice): ClusterAccess {
  const config = load(io, choice);
  if (choice.context !== undefined) {
    if (config.getContextObject(choice.context) === null) {
      const known = config.getContexts().map(({ name }) => name);
      throw invalid(`there is no context ${choice.context}; the kubeconfig has ${known.join(", ") || "none"}`);
    }
    config.setCurrentContext(choice.context);
  }
  const contextName = config.getCurrentContext();
  const cluster = config.getCurrentCluster();
  if (cluster === null || !URL.canParse(cluster.server)) {
    throw invalid(`the kubeconfig's context "${contextName}" names no cluster: choose another one with --context`);
  }
  const options = async () => {
    const found: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(found);
    } catch (error) {
      const message = `the kubeconfig's user of the context "${contextName}" gives no credentials: ${messageOf(error)}`;
      throw new CliError("CredentialsMissing", exitCodes.refused, message, { cause: error });
    }
    return found;
  };
  return {
    server: new URL(cluster.server),
    contextName,
    namespace: choice.namespace ?? config.getContextObject(contextName)?.namespace ?? "default",
    options,
    async token() {
      const { headers } = await options();
      const value = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === "authorization")?.[1];
      return /^Bearer (\S+)$/i.exec(String(value ?? ""))?.[1];
    },
    forward: (pod, port) => openForward(config, pod, port),
  };
}

function load(io: Io, { kubeconfig }: ClusterChoice): KubeConfig {
  const { KUBECONFIG, HOME, USERPROFILE, KUBERNETES_SERVICE_HOST } = io.env;
  if (kubeconfig !== undefined) return read(kubeconfig);
  // Of a list, files that are not there are left out, as kubectl does it.
  const listed = (KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  const files = listed.length > 0 ? listed : [join(HOME ?? USERPROFILE ?? "", ".kube", "config")];
  const there = files.filter((file) => existsSync(file));
  if (there.length > 0) return merged(there.map(read));
  if (listed.length === 0 && KUBERNETES_SERVICE_HOST !== undefined) {
    const config = new KubeConfig();
    config.loadFromCluster();
    return config;
  }
  throw invalid(`there is no kubeconfig at ${files.join(", ")}: name one with --kubeconfig or KUBECONFIG`);
}

function read(file: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    throw invalid(`${file} cannot be read as a kubeconfig: ${messageOf(error)}`, error);
  }
  return config;
}

/** The first file that has a name says what it means. */
function merged(configs: readonly KubeConfig[]): KubeConfig {
  const [first, ...others] = configs;
  const all = first ?? new KubeConfig();
  for (const other of others) {
    all.clusters = firstOfEachName(all.clusters, other.clusters);
    all.users = firstOfEachName(all.users, other.users);
    all.contexts = firstOfEachName(all.contexts, other.contexts);
    all.currentContext ||= other.currentContext;
  }
  return all;
}

function firstOfEachName<Entry extends { readonly name: string }>(
  own: readonly Entry[],
  more: readonly Entry[],
): Entry[] {
  const names = new Set(own.map(({ name }) => name));
  return [...own, ...more.filter(({ name }) => !names.has(name))];
}

function invalid(message: string, cause?: unknown): CliError {
  return new CliError("KubeconfigInvalid", exitCodes.usage, message, { cause });
}
