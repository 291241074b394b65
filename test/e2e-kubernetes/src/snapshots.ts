import { verifyGlobalState } from "@cutline/cli";
import { type Audit, auditGlobalState, type GlobalState } from "@cutline/example-bank";
import { apply, find, type KubernetesObject, kubectl } from "./kubernetes.ts";
import { run } from "./program.ts";

export interface GlobalSnapshot extends KubernetesObject {
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly exact?: boolean;
    readonly partial?: boolean;
    readonly processes?: string;
    readonly endedAt?: string;
    readonly problems?: readonly object[];
  };
}

/** `gsnap` objects in one namespace, and what they hold, read as a person with kubectl and its plugin does. */
export class Snapshots {
  readonly namespace: string;
  readonly #reader: string;
  readonly #plugin: string;

  /** `reader`: a service account (`NAMESPACE/NAME`) that may read states. `plugin`: the program `kubectl-cutline`. */
  constructor(namespace: string, reader: string, plugin: string) {
    this.namespace = namespace;
    this.#reader = reader;
    this.#plugin = plugin;
  }

  async create(name: string, spec: object = {}): Promise<void> {
    const metadata = { name, namespace: this.namespace };
    await apply({ apiVersion: "cutline.dev/v1alpha1", kind: "GlobalSnapshot", metadata, spec });
  }

  async get(name: string): Promise<GlobalSnapshot> {
    const found = await find<GlobalSnapshot>(["globalsnapshot", name, "-n", this.namespace]);
    if (found === undefined) throw new Error(`there is no GlobalSnapshot ${name}`);
    return found;
  }

  /** `kubectl wait`, for either end. */
  async ended(name: string, timeoutSeconds: number): Promise<GlobalSnapshot> {
    const deadlineMs = performance.now() + timeoutSeconds * 1_000;
    for (;;) {
      const snapshot = await this.get(name);
      const { phase = "none yet", endedAt } = snapshot.status ?? {};
      if (endedAt !== undefined) return snapshot;
      const leftSeconds = Math.ceil((deadlineMs - performance.now()) / 1_000);
      if (leftSeconds <= 0)
        throw new Error(`GlobalSnapshot ${name} has not ended in ${timeoutSeconds} s; it is ${phase}`);
      const args = [
        "wait",
        "--for=condition=Completed",
        `--timeout=${Math.min(leftSeconds, 5)}s`,
        "-n",
        this.namespace,
      ];
      // Not Completed in these seconds: it may have failed, or go on.
      await kubectl([...args, `globalsnapshot/${name}`]).catch(() => undefined);
    }
  }

  /** Reads the global state by its name, verifies it, and counts the money in it. */
  async audit(name: string, expectedCents: (pods: readonly string[]) => number): Promise<Audited> {
    const args = ["state", name, "-n", this.namespace, "--service-account", this.#reader];
    const bytes = await run(this.#plugin, args, { timeoutMs: 60_000 });
    const verified = await verifyGlobalState(pieces(bytes));
    const state = JSON.parse(bytes.toString()) as GlobalState;
    const pods = state.processes.map(({ id }) => id.slice(id.indexOf("/") + 1));
    const violations = verified.violations.map(({ code, message }) => `${code}: ${message}`);
    const expected = expectedCents(pods);
    return { audit: auditGlobalState(state, expected), expectedCents: expected, pods, violations };
  }
}

export interface Audited {
  readonly audit: Audit;
  readonly expectedCents: number;
  readonly pods: readonly string[];
  /** What the offline verifier finds wrong with the document. */
  readonly violations: readonly string[];
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
