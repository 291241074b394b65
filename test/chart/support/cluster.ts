import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { KubeConfig } from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import { chart, helm, type Manifest, type Values, withValues } from "./helm.ts";

const run = promisify(execFile);
const waitMs = 60_000;

/** A cluster, or an API server alone. Tests that want one fail without it. */
function kubeconfig(): string {
  const file = process.env.KUBECONFIG;
  if (file === undefined || file === "") {
    throw new Error("these tests want a Kubernetes API: run them with `make test-kubernetes`, or set KUBECONFIG");
  }
  return file;
}

export async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await run("kubectl", ["--kubeconfig", kubeconfig(), ...args], {
    timeout: waitMs,
    maxBuffer: 64 * 1024 ** 2,
  });
  return stdout;
}

/** Asks again until it holds; fails after a minute, with what it said last. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + waitMs;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > endMs) throw new Error(`waited ${waitMs} ms for ${what}`);
    await sleep(100);
  }
}

/** As `helm install` does with crds/; an API server before 1.25 does not know all of it, and drops that. */
export async function applyDefinitions(): Promise<void> {
  await kubectl("apply", "--validate=false", "--filename", `${chart}/crds`);
  await kubectl("wait", "--for=condition=Established", "--filename", `${chart}/crds`);
}

/** One release of the chart, in a namespace of its own. */
export class Release {
  readonly name = "cutline";
  readonly namespace = `cutline-chart-${randomBytes(4).toString("hex")}`;

  static async open(): Promise<Release> {
    const release = new Release();
    await kubectl("create", "namespace", release.namespace);
    return release;
  }

  async close(): Promise<void> {
    await kubectl("delete", "namespace", this.namespace, "--wait=false");
  }

  async install(values: Values): Promise<string> {
    return await this.#helm("install", values, "--skip-crds");
  }

  async upgrade(values: Values): Promise<string> {
    // Without it, values that are all defaults again would count as none said.
    return await this.#helm("upgrade", values, "--reset-values");
  }

  async uninstall(): Promise<void> {
    await helm(["uninstall", this.name, "--kubeconfig", kubeconfig(), "--namespace", this.namespace, "--wait"]);
  }

  async get(kind: string, name: string): Promise<Manifest> {
    return JSON.parse(await kubectl("-n", this.namespace, "get", kind, name, "--output=json"));
  }

  /** What the release has made, wherever it is, as `KIND/NAME`. */
  async objects(): Promise<string[]> {
    const own = parseAllDocuments(
      await helm(["get", "manifest", this.name, "--kubeconfig", kubeconfig(), "--namespace", this.namespace]),
    ).map((document) => document.toJS() as Manifest);
    return own.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort();
  }

  /** Whatever of any kind carries the release's label, or is of its namespace and is not Kubernetes' own. */
  async remains(): Promise<string[]> {
    const list = async (...which: string[]) =>
      (await kubectl("api-resources", "--verbs=list,delete", "--output=name", ...which))
        .split("\n")
        .filter(Boolean)
        .join(",");
    const selector = `app.kubernetes.io/instance=${this.name},app.kubernetes.io/part-of=cutline`;
    const global = await kubectl("get", await list("--namespaced=false"), "--selector", selector, "--output=name");
    const inside = await kubectl("-n", this.namespace, "get", await list("--namespaced=true"), "--output=name");
    const kubernetes = /^(serviceaccount\/default|secret\/default-token-|configmap\/kube-root-ca\.crt|event)/;
    return [...global.split("\n"), ...inside.split("\n")].filter((name) => name !== "" && !kubernetes.test(name));
  }

  /** What the coordinator's pod finds: its account's token, and the way to the API server. The caller removes the folder. */
  async account(): Promise<{ readonly folder: string; readonly server: string; remove(): Promise<void> }> {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig());
    const cluster = config.getCurrentCluster();
    if (cluster?.caData === undefined) throw new Error("the kubeconfig has no authority in itself");
    const path = `/api/v1/namespaces/${this.namespace}/serviceaccounts/cutline-coordinator/token`;
    const folder = await mkdtemp(join(tmpdir(), "cutline-account-"));
    const request = join(folder, "request.json");
    await writeFile(
      request,
      JSON.stringify({
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 3_600 },
      }),
    );
    const { status } = JSON.parse(await kubectl("create", "--raw", path, "--filename", request));
    await writeFile(join(folder, "token"), status.token);
    await writeFile(join(folder, "ca.crt"), Buffer.from(cluster.caData, "base64"));
    await writeFile(join(folder, "namespace"), this.namespace);
    return { folder, server: cluster.server, remove: () => rm(folder, { recursive: true }) };
  }

  async #helm(verb: string, values: Values, ...more: string[]): Promise<string> {
    return await withValues(values, (file) =>
      helm([
        ...[verb, this.name, chart, "--kubeconfig", kubeconfig(), "--namespace", this.namespace],
        ...["--values", file, ...more],
      ]),
    );
  }
}
