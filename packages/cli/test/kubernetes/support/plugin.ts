import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import type { Loose } from "../../support/fixtures.ts";
import { run as runHere } from "../../support/run.ts";

const run = promisify(execFile);
const commandMsMax = 60_000;
const repository = new URL("../../../../../", import.meta.url);

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function kubeconfig(): string {
  const file = process.env.KUBECONFIG;
  if (file === undefined || file === "") {
    throw new Error("these tests want a Kubernetes API: run them with `make test-kubernetes`, or set KUBECONFIG");
  }
  return file;
}

/** kubectl with the plugin on its PATH, and a namespace of its own. */
export class PluginWorld {
  readonly namespace = `cutline-test-${randomBytes(4).toString("hex")}`;
  readonly folder: string;
  readonly #objects: string[] = [];

  static async open(): Promise<PluginWorld> {
    const folder = await mkdtemp(join(tmpdir(), "cutline-kubectl-"));
    await symlink(fileURLToPath(new URL("packages/cli/bin/cutline.js", repository)), join(folder, "kubectl-cutline"));
    const world = new PluginWorld(folder);
    await world.kubectl(["create", "namespace", world.namespace]);
    await world.applyDefinitions();
    return world;
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  async close(): Promise<void> {
    const list = await this.read(["-n", this.namespace, "get", "gsnap"]);
    for (const { metadata } of list.items) await this.patch(metadata.name, { metadata: { finalizers: null } });
    for (const object of this.#objects) await this.kubectl(["delete", object, "--ignore-not-found"]);
    await this.kubectl(["delete", "namespace", this.namespace, "--wait=false"]);
    await rm(this.folder, { recursive: true });
  }

  /** `kubectl cutline ...` as a user calls it, in the namespace. Resolves whatever its exit code is. */
  async cutline(args: readonly string[], config = kubeconfig()): Promise<Ended> {
    const path = [this.folder, dirname(process.execPath), process.env.PATH].join(delimiter);
    const env = { ...process.env, PATH: path, KUBECONFIG: config };
    try {
      const { stdout, stderr } = await run("kubectl", ["cutline", "-n", this.namespace, ...args], {
        env,
        timeout: commandMsMax,
      });
      return { exitCode: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
      if (typeof code !== "number") throw error;
      return { exitCode: code, stdout: stdout ?? "", stderr: stderr ?? "" };
    }
  }

  /** The same without kubectl, and without waiting: time goes by itself there. */
  async inProcess(args: readonly string[], config = kubeconfig()): Promise<Ended> {
    return await runHere(["-n", this.namespace, ...args], { mode: "plugin", env: { KUBECONFIG: config } });
  }

  async kubectl(args: readonly string[], input?: object): Promise<string> {
    const child = run("kubectl", ["--kubeconfig", kubeconfig(), ...args], { timeout: commandMsMax });
    child.child.stdin?.end(input === undefined ? "" : JSON.stringify(input));
    return (await child).stdout;
  }

  async read(args: readonly string[]): Promise<Loose> {
    return JSON.parse(await this.kubectl([...args, "-o", "json"]));
  }

  /** `owned`: it has no namespace and goes at the end. */
  async apply(object: Loose, owned: "owned" | "namespaced" = "namespaced"): Promise<void> {
    if (owned === "owned") this.#objects.push(`${object.kind}/${object.metadata.name}`);
    // The API server of tests is older than kubectl, which would not know some of its fields.
    await this.kubectl(["apply", "--validate=false", "-f", "-"], object);
  }

  async patch(name: string, patch: object): Promise<void> {
    await this.kubectl(["-n", this.namespace, "patch", "gsnap", name, "--type=merge", "-p", JSON.stringify(patch)]);
  }

  /** As the controller writes it: kubectl of some versions cannot write a status. */
  async writeStatus(name: string, status: object): Promise<void> {
    const path = `/apis/cutline.dev/v1alpha1/namespaces/${this.namespace}/globalsnapshots/${name}`;
    const object = JSON.parse(await this.kubectl(["get", "--raw", path]));
    await this.kubectl(["replace", "--raw", `${path}/status`, "-f", "-"], { ...object, status });
  }

  /** A kubeconfig of a service account of the namespace that has no rights. */
  async strangersKubeconfig(): Promise<Loose> {
    const name = "stranger";
    await this.kubectl(["-n", this.namespace, "create", "serviceaccount", name]);
    const path = `/api/v1/namespaces/${this.namespace}/serviceaccounts/${name}/token`;
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3_600 } };
    const { status } = JSON.parse(await this.kubectl(["create", "--raw", path, "-f", "-"], body));
    const config = await this.read(["config", "view", "--raw", "--flatten", "--minify"]);
    return { ...config, users: [{ name: config.users[0].name, user: { token: status.token } }] };
  }

  async applyDefinitions(): Promise<void> {
    for (const name of ["globalsnapshots", "globalsnapshotschedules"]) {
      const file = new URL(`deploy/helm/cutline/crds/cutline.dev_${name}.yaml`, repository);
      for (const document of parseAllDocuments(await readFile(file, "utf8"))) await this.apply(document.toJS());
      await this.kubectl(["wait", "--for=condition=Established", `crd/${name}.cutline.dev`, "--timeout=30s"]);
    }
  }
}
