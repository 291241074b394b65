import { apiVersion, group, version } from "../resources/names.ts";
import type { KubeObject } from "../resources/objects.ts";
import type { KubeClient } from "./client.ts";

/** Where the objects of one kind are. */
export interface ResourcePath {
  readonly kind: string;
  readonly plural: string;
  /** Where its group and version are served, such as `/api/v1`. Absent: Cutline's own. */
  readonly api?: string;
}

/** `undefined` as the namespace: all of them. */
export function collectionPath(resource: ResourcePath, namespace: string | undefined): string {
  const inNamespace = namespace === undefined ? "" : `/namespaces/${namespace}`;
  return `${resource.api ?? `/apis/${group}/${version}`}${inNamespace}/${resource.plural}`;
}

function objectPath(resource: ResourcePath, { namespace, name }: KubeObject["metadata"]): string {
  return `${collectionPath(resource, namespace)}/${name}`;
}

/** The writes of the controller. All but `create` name the version they are based on: a write based on an old one is a conflict. */
export class Objects<Kind extends KubeObject> {
  readonly #client: KubeClient;
  readonly #resource: ResourcePath;

  constructor(client: KubeClient, resource: ResourcePath) {
    this.#client = client;
    this.#resource = resource;
  }

  async create(namespace: string, object: NewObject): Promise<Kind> {
    const path = collectionPath(this.#resource, namespace);
    const body = { apiVersion, kind: this.#resource.kind, ...object };
    return await this.#client.send<Kind>({ method: "POST", path, body });
  }

  async patch(object: Kind, patch: { metadata?: object; spec?: object }): Promise<Kind> {
    const { resourceVersion } = object.metadata;
    const body = { ...patch, metadata: { ...patch.metadata, resourceVersion } };
    return await this.#client.send<Kind>({ method: "PATCH", path: objectPath(this.#resource, object.metadata), body });
  }

  async writeStatus(object: Kind, status: object): Promise<Kind> {
    const path = `${objectPath(this.#resource, object.metadata)}/status`;
    const body = { ...object, apiVersion, kind: this.#resource.kind, status };
    return await this.#client.send<Kind>({ method: "PUT", path, body });
  }

  async remove(object: Kind): Promise<void> {
    const { uid, resourceVersion } = object.metadata;
    const path = objectPath(this.#resource, object.metadata);
    await this.#client.send({ method: "DELETE", path, body: { preconditions: { uid, resourceVersion } } });
  }
}

export interface NewObject {
  readonly metadata: object;
  readonly spec: object;
}
