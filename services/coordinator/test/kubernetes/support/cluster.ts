import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createKubeClient, type KubeClient } from "../../../src/kubernetes/api/client.ts";
import { type Cluster, openCluster } from "../../../src/kubernetes/api/cluster.ts";
import { isKubeError } from "../../../src/kubernetes/api/errors.ts";
import { collectionPath } from "../../../src/kubernetes/api/resources.ts";
import { scheduleDefinition, snapshotDefinition } from "../../../src/kubernetes/resources/definitions.ts";

const run = promisify(execFile);
const waitMs = 60_000;

/** A cluster, or an API server alone. Tests that want one fail without it. */
export function kubeconfig(): string {
  const file = process.env.KUBECONFIG;
  if (file === undefined || file === "") {
    throw new Error("these tests want a Kubernetes API: run them with `make test-kubernetes`, or set KUBECONFIG");
  }
  return file;
}

/** kubectl as the user runs it; `input` is its standard input. What it says on standard error is in the error. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const child = run("kubectl", ["--kubeconfig", kubeconfig(), ...args], { timeout: waitMs, maxBuffer: 16 * 1024 ** 2 });
  child.child.stdin?.end(input ?? "");
  return (await child).stdout;
}

export async function clientOf(cluster?: Cluster): Promise<KubeClient> {
  return createKubeClient({
    cluster: cluster ?? (await openCluster(kubeconfig())),
    requestTimeoutMs: 30_000,
    answerBytesMax: 1024 ** 2,
    userAgent: "test",
  });
}

interface Established {
  readonly metadata: { readonly resourceVersion: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Both definitions as they are now, whatever stood there before. */
export async function applyDefinitions(): Promise<void> {
  const client = await clientOf();
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  for (const definition of [snapshotDefinition, scheduleDefinition]) {
    const one = `${path}/${definition.metadata.name}`;
    const before = await found(client.send<Established>({ method: "GET", path: one }));
    if (before === undefined) await client.send({ method: "POST", path, body: definition });
    else {
      const { resourceVersion } = before.metadata;
      const body = { ...definition, metadata: { ...definition.metadata, resourceVersion } };
      await client.send({ method: "PUT", path: one, body });
    }
    await until(`${one} to be established`, async () => {
      const { status } = await client.send<Established>({ method: "GET", path: one });
      return status?.conditions?.some(({ type, status: holds }) => type === "Established" && holds === "True");
    });
  }
  client.close();
}

interface Named {
  readonly metadata: { readonly name: string };
}

/** A namespace of its own, with what is removed at the end. */
export class TestNamespace {
  readonly name = `cutline-test-${randomBytes(4).toString("hex")}`;
  readonly #client: KubeClient;

  static async open(): Promise<TestNamespace> {
    const namespace = new TestNamespace(await clientOf());
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace.name } };
    await namespace.#client.send({ method: "POST", path: "/api/v1/namespaces", body });
    return namespace;
  }

  private constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Takes the finalizers away: the controller that serves them is gone. */
  async close(): Promise<void> {
    const path = this.#path("globalsnapshots");
    // Not every test wants the definitions.
    const list = await found(this.#client.send<{ items: readonly Named[] }>({ method: "GET", path }));
    for (const { metadata } of list?.items ?? []) await this.patch(metadata.name, { metadata: { finalizers: null } });
    await this.#client.send({ method: "DELETE", path: `/api/v1/namespaces/${this.name}` });
    this.#client.close();
  }

  async kubectl(...args: string[]): Promise<string> {
    return await kubectl(["-n", this.name, ...args]);
  }

  async create(kind: string, name: string, spec: object = {}): Promise<void> {
    const body = { apiVersion: "cutline.dev/v1alpha1", kind, metadata: { name }, spec };
    await this.#client.send({ method: "POST", path: this.#path(`${kind.toLowerCase()}s`), body });
  }

  /** A merge patch of a GlobalSnapshot; nothing when it is gone. */
  async patch(name: string, patch: object): Promise<void> {
    await found(this.#client.send({ method: "PATCH", path: `${this.#path("globalsnapshots")}/${name}`, body: patch }));
  }

  /** Resolves when the GlobalSnapshot is gone. */
  async remove(name: string): Promise<void> {
    await found(this.#client.send({ method: "DELETE", path: `${this.#path("globalsnapshots")}/${name}` }));
    await until(`${name} to be gone`, async () => (await this.read("globalsnapshots", name)) === undefined);
  }

  async read<Answer>(plural: string, name: string): Promise<Answer | undefined> {
    return await found(this.#client.send<Answer>({ method: "GET", path: `${this.#path(plural)}/${name}` }));
  }

  #path(plural: string): string {
    return collectionPath({ kind: "", plural }, this.name);
  }
}

async function found<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isKubeError(error, "KubeNotFound")) return undefined;
    throw error;
  }
}

/** Asks again until it holds; fails after a minute. */
export async function until(what: string, holds: () => Promise<boolean | undefined>): Promise<void> {
  const endMs = performance.now() + waitMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`waited ${waitMs} ms for ${what}`);
    await sleep(20);
  }
}
