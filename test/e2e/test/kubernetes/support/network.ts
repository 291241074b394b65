import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import process from "node:process";
import { promisify } from "node:util";

const run = promisify(execFile);
const commandMsMax = 60_000;

export function kubeconfig(): string {
  const file = process.env.KUBECONFIG;
  if (file === undefined || file === "") {
    throw new Error("these tests want a Kubernetes API: run them with `make test-kubernetes`, or set KUBECONFIG");
  }
  return file;
}

async function kubectl(args: readonly string[], input?: object): Promise<string> {
  const child = run("kubectl", ["--kubeconfig", kubeconfig(), ...args], { timeout: commandMsMax });
  child.child.stdin?.end(input === undefined ? "" : JSON.stringify(input));
  return (await child).stdout;
}

/** Whether a pod takes new calls, and what its endpoint says then. */
const conditionsOf = {
  ready: { ready: true, serving: true, terminating: false },
  terminating: { ready: false, serving: true, terminating: true },
};

/** A namespace whose EndpointSlices the test writes, in the place of a cluster's controller and its kubelets. */
export class TestNetwork {
  readonly namespace = `cutline-test-${randomBytes(4).toString("hex")}`;
  readonly #sliceVersion: string;

  static async open(): Promise<TestNetwork> {
    const served = (await kubectl(["api-versions"])).split("\n");
    const network = new TestNetwork(served.includes("discovery.k8s.io/v1") ? "v1" : "v1beta1");
    await network.#apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: network.namespace } });
    return network;
  }

  private constructor(sliceVersion: string) {
    this.#sliceVersion = sliceVersion;
  }

  async close(): Promise<void> {
    await kubectl(["delete", "namespace", this.namespace, "--wait=false"]);
  }

  async service(name: string, spec: object): Promise<void> {
    await this.#apply({ apiVersion: "v1", kind: "Service", metadata: this.#named(name), spec });
  }

  /** One slice for one pod, since on this machine each process has a port of its own. */
  async endpoint(service: string, pod: string, port: number, standing: keyof typeof conditionsOf): Promise<void> {
    await this.#apply({
      apiVersion: `discovery.k8s.io/${this.#sliceVersion}`,
      kind: "EndpointSlice",
      metadata: { ...this.#named(`${service}-${pod}`), labels: { "kubernetes.io/service-name": service } },
      addressType: "IPv4",
      ports: [{ name: "", port }],
      endpoints: [
        {
          addresses: ["10.1.0.9"],
          conditions: conditionsOf[standing],
          targetRef: { kind: "Pod", namespace: this.namespace, name: pod },
        },
      ],
    });
  }

  async removeEndpoint(service: string, pod: string): Promise<void> {
    await kubectl(["-n", this.namespace, "delete", "endpointslice", `${service}-${pod}`]);
  }

  #named(name: string) {
    return { name, namespace: this.namespace };
  }

  async #apply(object: object): Promise<void> {
    // The API server of tests is older than kubectl, which would not know some of its fields.
    await kubectl(["apply", "--validate=false", "-f", "-"], object);
  }
}
