import {
  type Endpoint,
  type EndpointSliceObject,
  type ServiceObject,
  serviceNameLabel,
} from "../../../src/kubernetes/discovery/objects.ts";

/** `NAMESPACE/NAME` as metadata. */
function metadata(key: string, labels?: Readonly<Record<string, string>>) {
  const [namespace = "", name = ""] = key.split("/");
  const times = { generation: 1, creationTimestamp: "2026-11-23T12:00:00Z" };
  return {
    namespace,
    name,
    uid: `uid-${key}`,
    resourceVersion: "1",
    ...times,
    ...(labels !== undefined && { labels }),
  };
}

/** A Service with a virtual address and the port 80, which leads to `grpc` where slices have such a port. */
export function service(key: string, spec: ServiceObject["spec"] = {}): ServiceObject {
  return {
    metadata: metadata(key),
    spec: { type: "ClusterIP", clusterIP: "10.96.0.7", ports: [{ name: "grpc", port: 80 }], ...spec },
  };
}

/** A slice of the Service `of`, with the port 9000. */
export function slice(
  key: string,
  of: string,
  endpoints: EndpointSliceObject["endpoints"],
  fields: Partial<EndpointSliceObject> = {},
): EndpointSliceObject {
  return {
    metadata: metadata(key, { [serviceNameLabel]: of }),
    addressType: "IPv4",
    ports: [{ name: "grpc", port: 9000 }],
    ...(endpoints !== undefined && { endpoints }),
    ...fields,
  };
}

export function endpoint(pod: string, fields: Partial<Endpoint> = {}): Endpoint {
  const [namespace = "", name = ""] = pod.split("/");
  return { addresses: ["10.1.0.9"], targetRef: { kind: "Pod", namespace, name }, ...fields };
}
