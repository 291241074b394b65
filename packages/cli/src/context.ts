import type { CoordinatorClient } from "./client.ts";
import type { Cluster, ClusterFlags } from "./cluster/cluster.ts";
import type { Io } from "./io.ts";
import type { Paint } from "./output/palette.ts";

export const outputFormats = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number] | "name";

/** What every command works with, after the global options are read. */
export interface Context {
  readonly io: Io;
  readonly format: OutputFormat;
  readonly quiet: boolean;
  /** For stdout. */
  readonly paint: Paint;
  /** Connects to nothing before its first request. Throws a usage error when the URL is none. */
  client(): CoordinatorClient;
  /** The same, of the cluster: by the way through the API server unless `--server` or CUTLINE_SERVER names another one. */
  clusterClient(): CoordinatorClient;
  /** What the kubeconfig names. Connects to nothing yet. Rejects with a usage error when there is no kubeconfig. */
  cluster(): Promise<Cluster>;
}

/** What commander hands to a command's action, already typed by the options' parsers. `own`: the command's own options for a cluster. */
export type Run = (work: (context: Context) => Promise<number>, own?: ClusterFlags) => Promise<void>;
