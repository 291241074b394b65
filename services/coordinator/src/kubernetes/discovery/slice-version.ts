import type { KubeClient } from "../api/client.ts";
import { KubeError } from "../api/errors.ts";
import { sliceGroupPath } from "./objects.ts";

/** Those that discovery can read, the best first. */
const versionsRead = ["v1", "v1beta1"];

interface GroupAnswer {
  readonly versions?: readonly { readonly version: string }[];
}

/** The version of EndpointSlices to ask this server for. Rejects with a `KubeError`. */
export async function chooseSliceVersion(client: KubeClient): Promise<string> {
  const { versions = [] } = await client.send<GroupAnswer>({ method: "GET", path: sliceGroupPath });
  const served = new Set(versions.map(({ version }) => version));
  const chosen = versionsRead.find((version) => served.has(version));
  if (chosen !== undefined) return chosen;
  const message = `the API server has discovery.k8s.io in ${[...served].join(", ") || "no version"}; needed is ${versionsRead.join(" or ")}, as in Kubernetes 1.17 and newer`;
  throw new KubeError("KubeInvalid", message);
}
