import { fileURLToPath } from "node:url";
import { kubectl, list } from "./kubernetes.ts";
import { run } from "./program.ts";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** What the tests take from the environment: images by names that the cluster's nodes can pull, or have. */
export interface Settings {
  /** CUTLINE_IMAGE, default `cutline:VERSION`. */
  readonly image: string;
  /** CUTLINE_BANK_IMAGE, default `cutline-bank:VERSION`. */
  readonly bankImage: string;
  /** CUTLINE_REDIS_IMAGE; default: the chart's. */
  readonly redisImage: string | undefined;
  /** CUTLINE_IMAGE_PULL_POLICY, default `IfNotPresent`. */
  readonly pullPolicy: string;
  /** CUTLINE_HELM_ARGUMENTS: more of them for `helm install`, separated by blanks. */
  readonly helmArguments: readonly string[];
  /** HELM, default `helm`. */
  readonly helm: string;
}

export function readSettings(environment: Readonly<Record<string, string | undefined>>, version: string): Settings {
  return {
    image: environment.CUTLINE_IMAGE || `cutline:${version}`,
    bankImage: environment.CUTLINE_BANK_IMAGE || `cutline-bank:${version}`,
    redisImage: environment.CUTLINE_REDIS_IMAGE || undefined,
    pullPolicy: environment.CUTLINE_IMAGE_PULL_POLICY || "IfNotPresent",
    helmArguments: (environment.CUTLINE_HELM_ARGUMENTS ?? "").split(" ").filter((one) => one !== ""),
    helm: environment.HELM || "helm",
  };
}

/** `registry/name:tag` and `registry/name@digest` as values of the chart; an empty registry, so that it says all of it. */
function imageValues(key: string, image: string, pullPolicy: string): readonly string[] {
  const [name = "", digest = ""] = image.split("@");
  const [, repositoryPart = name, tag = ""] = /^(.*?)(?::([^:/]+))?$/.exec(name) ?? [];
  const values = { registry: "", repository: repositoryPart, tag, digest, pullPolicy };
  return Object.entries(values).flatMap(([field, value]) => ["--set-string", `${key}.${field}=${value}`]);
}

export class Installation {
  readonly namespace: string;
  readonly release = "cutline";
  readonly #settings: Settings;

  constructor(settings: Settings, namespace: string) {
    this.#settings = settings;
    this.namespace = namespace;
  }

  /** `helm install --wait`, as the documentation says it. */
  async install(): Promise<void> {
    const { image, redisImage, pullPolicy, helmArguments } = this.#settings;
    const classes = await list<{ metadata: { annotations?: Record<string, string> } } & StorageClass>(["storageclass"]);
    const hasVolumes = classes.some(
      ({ metadata }) => metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true",
    );
    await this.#helm([
      ...["install", this.release, "deploy/helm/cutline", "--create-namespace", "--wait", "--timeout", "5m"],
      ...imageValues("image", image, pullPolicy),
      ...(redisImage === undefined ? [] : imageValues("redis.image", redisImage, pullPolicy)),
      // A cluster without volumes can still be tried.
      ...(hasVolumes ? [] : ["--set", "redis.persistence.enabled=false"]),
      ...helmArguments,
    ]);
  }

  async uninstall(): Promise<void> {
    await this.#helm(["uninstall", this.release, "--wait", "--timeout", "5m"]);
  }

  /** The pods of the coordinator that are not ending. */
  async coordinators(): Promise<readonly string[]> {
    const pods = await list(["pods", "-n", this.namespace, "-l", "app.kubernetes.io/component=coordinator"]);
    return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.name);
  }

  /** The pod that holds the Lease. */
  async leader(): Promise<string | undefined> {
    const path = "jsonpath={.spec.holderIdentity}";
    const holder = await kubectl(["get", "lease", "cutline-coordinator", "-n", this.namespace, "-o", path]);
    return (await this.coordinators()).find(
      (pod) => holder === pod || holder.startsWith(`${pod}/`) || holder.startsWith(`${pod}_`),
    );
  }

  async restartCoordinators(): Promise<void> {
    const deployment = "deployment/cutline-coordinator";
    await kubectl(["rollout", "restart", deployment, "-n", this.namespace]);
    await kubectl(["rollout", "status", deployment, "-n", this.namespace, "--timeout=180s"], { timeoutMs: 200_000 });
  }

  async #helm(args: readonly string[]): Promise<void> {
    const { helm } = this.#settings;
    await run(helm, [...args, "--namespace", this.namespace], { timeoutMs: 330_000, folder: repository });
  }
}

interface StorageClass {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly creationTimestamp: string };
}
