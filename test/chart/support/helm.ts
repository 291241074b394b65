import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";

const run = promisify(execFile);
export const chart = fileURLToPath(new URL("../../../deploy/helm/cutline", import.meta.url));
const ensureHelm = fileURLToPath(new URL("../../../scripts/ensure-helm.sh", import.meta.url));
const helmMsMax = 120_000;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: tests reach deep into objects of every kind; a wrong path is a failure
  readonly [field: string]: any;
}

export type Values = Readonly<Record<string, unknown>>;

let program: string | undefined;

/** The real Helm: the one on the PATH, or one that is installed for the tests. Its output is standard output. */
export async function helm(args: readonly string[]): Promise<string> {
  program ??= execFileSync(ensureHelm, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
  const { stdout } = await run(program, args, { timeout: helmMsMax, maxBuffer: 64 * 1024 ** 2 });
  return stdout;
}

/** With a file of values, which is gone afterwards. */
export async function withValues<T>(values: Values, work: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-chart-"));
  try {
    const file = join(folder, "values.json");
    await writeFile(file, JSON.stringify(values));
    return await work(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

export interface RenderOptions {
  readonly version?: string;
  readonly apis?: readonly string[];
  readonly release?: string;
}

/** What the chart makes of the values, in the namespace `system`; rejects with what Helm says. */
export async function render(values: Values = {}, options: RenderOptions = {}): Promise<Rendered> {
  const { version = "1.34.0", apis = [], release = "cutline" } = options;
  const text = await withValues(values, (file) =>
    helm([
      ...["template", release, chart, "--namespace", "system", "--values", file, "--kube-version", version],
      ...apis.flatMap((api) => ["--api-versions", api]),
    ]),
  );
  const documents = parseAllDocuments(text);
  for (const { errors } of documents) if (errors[0] !== undefined) throw errors[0];
  return new Rendered(documents.map((document) => document.toJS()).filter((content) => content !== null));
}

export class Rendered {
  readonly manifests: readonly Manifest[];

  constructor(manifests: readonly Manifest[]) {
    this.manifests = manifests;
  }

  find(kind: string, name: string): Manifest | undefined {
    return this.manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  }

  get(kind: string, name: string): Manifest {
    const found = this.find(kind, name);
    if (found === undefined) throw new Error(`there is no ${kind} ${name} among ${this.names().join(", ")}`);
    return found;
  }

  names(kind?: string): string[] {
    return this.manifests
      .filter((manifest) => kind === undefined || manifest.kind === kind)
      .map(({ kind: each, metadata }) => (kind === undefined ? `${each}/${metadata.name}` : metadata.name))
      .sort();
  }

  /** The pod of the coordinator. */
  get coordinator(): Manifest["spec"] {
    return this.get("Deployment", "cutline-coordinator").spec.template.spec;
  }

  /** The coordinator's variables: its value, or where it comes from. */
  get environment(): ReadonlyMap<string, unknown> {
    const env: readonly { name: string; value?: string; valueFrom?: unknown }[] = this.coordinator.containers[0].env;
    return new Map(env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
  }
}
