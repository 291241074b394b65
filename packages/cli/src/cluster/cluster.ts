import { type CoordinatorClient, createClient } from "../client.ts";
import { CliError, exitCodes } from "../errors.ts";
import type { Io } from "../io.ts";
import type { Route } from "../transport.ts";
import type { ClusterAccess, ClusterChoice } from "./api/kubeconfig.ts";
import { createKubeApi, type KubeApi } from "./client.ts";
import { type CoordinatorPlace, coordinatorAdvice, coordinatorRoute } from "./coordinator.ts";
import { SnapshotObjects } from "./snapshots.ts";

/** The options with which a cluster is chosen, as commander reads them. */
export interface ClusterFlags extends ClusterChoice {
  readonly coordinator?: string;
  readonly coordinatorNamespace?: string;
  /** NAMESPACE/NAME. */
  readonly serviceAccount?: string;
}

/** A cluster as the user of a kubeconfig reaches it. */
export interface Cluster {
  readonly access: ClusterAccess;
  readonly api: KubeApi;
  readonly snapshots: SnapshotObjects;
  readonly place: CoordinatorPlace;
  /** To the coordinator, through the API server. */
  readonly route: Route;
}

/** `opened` is told what has to be closed at the end. Rejects with a usage error. */
export async function openCluster(
  io: Io,
  flags: ClusterFlags,
  opened: (resource: { close(): void }) => void,
): Promise<Cluster> {
  const { serviceAccount } = flags;
  if (serviceAccount !== undefined && !/^[^/\s]+\/[^/\s]+$/.test(serviceAccount)) {
    throw new CliError("ServiceAccountInvalid", exitCodes.usage, "--service-account is written namespace/name");
  }
  // The library is a thousand modules: only those wait for it who want a cluster.
  const { openKubeconfig } = await import("./api/kubeconfig.ts");
  const access = openKubeconfig(io, flags);
  const api = createKubeApi(io, access);
  const place = { namespace: flags.coordinatorNamespace, name: flags.coordinator };
  const route = coordinatorRoute({ access, api, place, serviceAccount, opened });
  return { access, api, place, route, snapshots: new SnapshotObjects(api, access.namespace) };
}

/** The coordinator of a cluster, which is asked by the names of GlobalSnapshots, or by its own ids. */
export function clientByName(io: Io, cluster: () => Promise<Cluster>): CoordinatorClient {
  let route: Route | undefined;
  const client = createClient(io, {
    async open() {
      route = (await cluster()).route;
      return await route.open();
    },
    why: () => route?.why() ?? "",
    advice: coordinatorAdvice,
    signIn: "give --service-account NAMESPACE/NAME: this kubeconfig's user has no token that it takes",
  });
  const idOf = async (name: string) => await (await cluster()).snapshots.idOf(name);
  return {
    create: (request) => client.create(request),
    list: (request) => client.list(request),
    topology: () => client.topology(),
    certificates: () => client.certificates(),
    readiness: () => client.readiness(),
    get: async (name) => await client.get(await idOf(name)),
    abort: async (name) => await client.abort(await idOf(name)),
    remove: async (name) => await client.remove(await idOf(name)),
    globalState: async (name, form) => await client.globalState(await idOf(name), form),
    processState: async (name, processId) => await client.processState(await idOf(name), processId),
    channelState: async (name, channelId) => await client.channelState(await idOf(name), channelId),
  };
}
