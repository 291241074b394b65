import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { collectionPath } from "../../../src/kubernetes/api/resources.ts";
import {
  type Endpoint,
  serviceNameLabel,
  serviceResource,
  sliceResource,
} from "../../../src/kubernetes/discovery/objects.ts";
import { chooseSliceVersion } from "../../../src/kubernetes/discovery/slice-version.ts";

/** Writes Services and EndpointSlices of one namespace: the slices as the controller of a cluster would write them. */
export class NetworkObjects {
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #version: string;

  static async open(client: KubeClient, namespace: string): Promise<NetworkObjects> {
    return new NetworkObjects(client, namespace, await chooseSliceVersion(client));
  }

  private constructor(client: KubeClient, namespace: string, version: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#version = version;
  }

  /** Resolves with its virtual address. */
  async createService(name: string, spec: object): Promise<string> {
    const path = collectionPath(serviceResource, this.#namespace);
    const body = { metadata: { name }, spec };
    const made = await this.#client.send<{ spec: { clusterIP?: string } }>({ method: "POST", path, body });
    return made.spec.clusterIP ?? "";
  }

  async removeService(name: string): Promise<void> {
    await this.#client.send({ method: "DELETE", path: `${collectionPath(serviceResource, this.#namespace)}/${name}` });
  }

  /** One slice for one pod, since in a test each process has a port of its own. */
  async createSlice(service: string, pod: string, port: number, conditions: Endpoint["conditions"] = { ready: true }) {
    const body = {
      metadata: { name: `${service}-${pod}`, labels: { [serviceNameLabel]: service } },
      addressType: "IPv4",
      ports: [{ name: "", protocol: "TCP", port }],
      endpoints: [this.#endpoint(pod, conditions)],
    };
    await this.#client.send({ method: "POST", path: this.#slices, body });
  }

  async setConditions(service: string, pod: string, conditions: Endpoint["conditions"]): Promise<void> {
    const body = { endpoints: [this.#endpoint(pod, conditions)] };
    await this.#client.send({ method: "PATCH", path: `${this.#slices}/${service}-${pod}`, body });
  }

  async removeSlice(service: string, pod: string): Promise<void> {
    await this.#client.send({ method: "DELETE", path: `${this.#slices}/${service}-${pod}` });
  }

  get #slices(): string {
    return collectionPath(sliceResource(this.#version), this.#namespace);
  }

  #endpoint(pod: string, conditions: Endpoint["conditions"]) {
    const targetRef = { kind: "Pod", namespace: this.#namespace, name: pod };
    return { addresses: ["10.1.0.9"], conditions, hostname: pod, targetRef };
  }
}
