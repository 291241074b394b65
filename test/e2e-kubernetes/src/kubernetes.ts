import { ProgramFailed, type RunOptions, run } from "./program.ts";

export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
  };
}

/** kubectl on the cluster of KUBECONFIG. */
export async function kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
  return (await run("kubectl", args, options)).toString();
}

export async function apply(manifest: object | string): Promise<void> {
  const input = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
  await kubectl(["apply", "-f", "-"], { input });
}

/** `args` say which: `["pods", "-n", "bank"]`. */
export async function list<T extends KubernetesObject>(args: readonly string[]): Promise<readonly T[]> {
  const { items }: { items: readonly T[] } = JSON.parse(await kubectl(["get", ...args, "-o", "json"]));
  return items;
}

/** One object; undefined when it is not there. */
export async function find<T extends KubernetesObject>(args: readonly string[]): Promise<T | undefined> {
  try {
    return JSON.parse(await kubectl(["get", ...args, "-o", "json"]));
  } catch (error) {
    if (error instanceof ProgramFailed && error.message.includes("(NotFound)")) return undefined;
    throw error;
  }
}

/** Everything that can be listed, in the cluster or in a namespace, as `kind/namespace/name`; Events are no matter. */
export async function inventory(): Promise<ReadonlySet<string>> {
  const columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";
  const kinds = (await kubectl(["api-resources", "--verbs=list", "-o", "name"])).split("\n");
  const passing = /^(events(\..*)?|componentstatuses|.*\.metrics\.k8s\.io)$/;
  const wanted = kinds.filter((kind) => kind !== "" && !passing.test(kind)).join(",");
  const args = ["get", wanted, "--all-namespaces", "--no-headers", "--ignore-not-found", "-o", columns];
  const lines = await kubectl(args, { timeoutMs: 180_000 });
  return new Set(
    lines
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.trim().split(/\s+/).join("/")),
  );
}
