import { Agent, type RequestOptions } from "node:https";
import { describeError } from "@cutline/runtime";
import { KubeError } from "./errors.ts";

/** Where the API server is, and how this program proves who it is. */
export interface Cluster {
  readonly server: URL;
  /** This program's own namespace. */
  readonly namespace: string;
  /** Headers, certificates and the connections to use. Asked for before each request: tokens change. */
  credentials(): Promise<RequestOptions>;
  close(): void;
}

/** What a kubeconfig file says. Rejects with `KubeConfigInvalid`. */
export async function openCluster(kubeconfigFile: string): Promise<Cluster> {
  // The library is a thousand modules and 100 MB: it is loaded only where it is needed, which is not in a pod.
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  try {
    config.loadFromFile(kubeconfigFile);
  } catch (error) {
    const message = `${kubeconfigFile} cannot be read as a kubeconfig: ${describeError(error)}`;
    throw new KubeError("KubeConfigInvalid", message, { cause: error });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null || !URL.canParse(cluster.server)) {
    throw new KubeError("KubeConfigInvalid", `the current context of ${kubeconfigFile} names no API server`);
  }
  const agent = new Agent({ keepAlive: true });
  return {
    server: new URL(cluster.server),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? "default",
    async credentials() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // The library's agent makes a connection for each request; a proxy needs that agent all the same.
      return cluster.proxyUrl === undefined ? { ...options, agent } : options;
    },
    close: () => agent.destroy(),
  };
}
