import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { describeError } from "@cutline/runtime";
import type { Cluster } from "./cluster.ts";
import { KubeError } from "./errors.ts";

/** Tokens are renewed long before their end, and the authority's certificate before its own. */
const rereadMs = 60_000;

/** The cluster of the pod in which this program runs, by the service account in `folder`. Rejects with `KubeConfigInvalid`. */
export async function openPodCluster(server: string, folder: string, nowMs: () => number): Promise<Cluster> {
  const read = async (name: string) => await readFile(join(folder, name), "utf8");
  let namespace: string;
  try {
    namespace = (await read("namespace")).trim();
  } catch (error) {
    const message = `there is no service account in ${folder}; outside of a pod, set CUTLINE_KUBERNETES_KUBECONFIG: ${describeError(error)}`;
    throw new KubeError("KubeConfigInvalid", message, { cause: error });
  }
  const agent = new Agent({ keepAlive: true });
  let known: { readonly ca: string; readonly token: string; readonly readAtMs: number } | undefined;
  return {
    server: new URL(server),
    namespace,
    async credentials() {
      if (known === undefined || nowMs() - known.readAtMs >= rereadMs) {
        const [ca, token] = await Promise.all([read("ca.crt"), read("token")]);
        known = { ca, token: token.trim(), readAtMs: nowMs() };
      }
      return { ca: known.ca, agent, headers: { authorization: `Bearer ${known.token}` } };
    },
    close: () => agent.destroy(),
  };
}
