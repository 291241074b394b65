import type { ResourcePath } from "../api/resources.ts";
import type { KubeObject } from "../resources/objects.ts";

/** A Service, as far as discovery reads it. */
export interface ServiceObject extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    /** `None`: headless. */
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly ports?: readonly ServicePort[];
    readonly externalName?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly internalTrafficPolicy?: string;
  };
}

interface ServicePort {
  /** May be absent where there is one port only. */
  readonly name?: string;
  readonly port: number;
  /** Absent: TCP. */
  readonly protocol?: string;
}

/** An EndpointSlice of discovery.k8s.io/v1, and of v1beta1 where both have the same. */
export interface EndpointSliceObject extends KubeObject {
  /** IPv4, IPv6 or FQDN. */
  readonly addressType: string;
  /** Absent or null: none. */
  readonly endpoints?: readonly Endpoint[] | null;
  /** The pods' ports, with the names of the Service's. */
  readonly ports?: readonly EndpointPort[] | null;
}

export interface Endpoint {
  readonly addresses: readonly string[];
  /** Absent: true for ready, ready for serving, false for terminating. */
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  /** The pod's own name below its Service. */
  readonly hostname?: string;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string };
}

interface EndpointPort {
  readonly name?: string;
  readonly port?: number | null;
  readonly protocol?: string;
}

/** On a slice: the Service that it is of. */
export const serviceNameLabel = "kubernetes.io/service-name";

export const serviceResource: ResourcePath = { kind: "Service", plural: "services", api: "/api/v1" };

export const sliceGroupPath = "/apis/discovery.k8s.io";

export function sliceResource(version: string): ResourcePath {
  return { kind: "EndpointSlice", plural: "endpointslices", api: `${sliceGroupPath}/${version}` };
}
