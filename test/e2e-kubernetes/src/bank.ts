import { fileURLToPath } from "node:url";
import { until } from "@cutline/e2e";
import type { BranchState, BranchStatus } from "@cutline/example-bank";
import { apply, type KubernetesObject, kubectl, list } from "./kubernetes.ts";
import { follow } from "./program.ts";

const manifests = fileURLToPath(new URL("../../../examples/bank/kubernetes", import.meta.url));

export const branches = ["branch-1", "branch-2", "branch-3"] as const;
export const openingCents = 1_000_000;

interface Pod extends KubernetesObject {
  readonly spec: { readonly containers: readonly { readonly name: string }[] };
  readonly status: { readonly phase: string };
}

/** What is known of one pod of a branch, over its whole life. */
interface Life {
  readonly createdMs: number;
  /** When it was told to go. */
  leftMs: number | undefined;
  /** What it had when it closed. */
  final: BranchState | undefined;
}

/** The bank in a namespace: a Deployment for each branch, with agents that the webhook adds. */
export class Bank {
  readonly namespace: string;
  readonly lives = new Map<string, Life>();
  readonly #closed = new AbortController();

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  async deploy(image: string): Promise<void> {
    await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: this.namespace } });
    const rendered = await kubectl(["kustomize", manifests]);
    const named = rendered.replaceAll(/image: cutline-bank\S*/g, `image: ${image}`);
    await kubectl(["apply", "-n", this.namespace, "-f", "-"], { input: named });
    await this.#ready();
    await this.look();
  }

  /** A rolling restart of all branches; resolves when the last of the new pods is ready. */
  async restart(): Promise<void> {
    await kubectl(["rollout", "restart", ...branches.map((name) => `deployment/${name}`), "-n", this.namespace]);
    await this.#ready();
  }

  async pods(): Promise<readonly Pod[]> {
    return await list<Pod>(["pods", "-n", this.namespace, "-l", "cutline.dev/inject=true"]);
  }

  /** Notes which pods are there, and reads along what new ones say. To be called more often than pods live. */
  async look(): Promise<void> {
    for (const { metadata, status } of await this.pods()) {
      let life = this.lives.get(metadata.name);
      if (life === undefined && status.phase === "Running") {
        life = { createdMs: Date.parse(metadata.creationTimestamp), leftMs: undefined, final: undefined };
        this.lives.set(metadata.name, life);
        this.#follow(metadata.name, life);
      }
      if (life !== undefined && metadata.deletionTimestamp !== undefined) {
        // Kubernetes writes down when the grace period ends.
        life.leftMs = Date.parse(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1_000;
      }
    }
  }

  /** Resolves when every pod that went has been read to its end. */
  async settled(): Promise<void> {
    const gone = [...this.lives.values()].filter(({ leftMs }) => leftMs !== undefined);
    await until("what pods that went had", () => (gone.every(({ final }) => final !== undefined) ? "read" : undefined));
  }

  /** Reads along no longer. */
  close(): void {
    this.#closed.abort();
  }

  async statuses(method: "GET /status" | "POST /pause" | "POST /resume" = "GET /status"): Promise<BranchStatus[]> {
    const [verb, path] = method.split(" ");
    const script = `fetch("http://127.0.0.1:8080${path}",{method:"${verb}"}).then(r=>r.text()).then(t=>process.stdout.write(t))`;
    const alive = (await this.pods()).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const statuses: BranchStatus[] = [];
    for (const { metadata } of alive) {
      const args = ["exec", "-n", this.namespace, metadata.name, "-c", "branch", "--", "node", "-e", script];
      statuses.push(JSON.parse(await kubectl(args)));
    }
    return statuses;
  }

  /**
   * What the branches of a snapshot must add up to: what each of them opened with, and what those that had gone before
   * left to them.
   */
  expectedCents(pods: readonly string[], endedMs: number): number {
    let cents = pods.length * openingCents;
    for (const [pod, { leftMs, final }] of this.lives) {
      if (pods.includes(pod) || leftMs === undefined || leftMs > endedMs) continue;
      if (final === undefined) throw new Error(`${pod} went without a word of what it had`);
      cents += openingCents - final.balanceCents - final.unresolvedCents;
    }
    return cents;
  }

  #follow(pod: string, life: Life): void {
    const args = ["logs", "--follow", "-n", this.namespace, pod, "-c", "branch"];
    const onLine = (line: string) => {
      // Libraries write what they like.
      if (!line.startsWith("{")) return;
      const { message, state } = JSON.parse(line) as { message: string; state?: BranchState };
      if (message === "branch closed") life.final = state;
    };
    void follow("kubectl", args, onLine, this.#closed.signal);
  }

  async #ready(): Promise<void> {
    for (const name of branches) {
      const args = ["rollout", "status", `deployment/${name}`, "-n", this.namespace, "--timeout=180s"];
      await kubectl(args, { timeoutMs: 200_000 });
    }
  }
}
