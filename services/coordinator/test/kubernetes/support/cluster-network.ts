import type { Endpoint, EndpointSliceObject, ServiceObject } from "../../../src/kubernetes/discovery/objects.ts";

/** What a connection ends at: a port of a pod. */
export interface Target {
  readonly pod: string;
  readonly port: number;
}

/**
 * How a cluster itself leads a connection, asked the other way round than discovery works: CoreDNS and kube-proxy in small, by
 * one name or address and one port at a time.
 */
export class ClusterNetwork {
  readonly #services: readonly ServiceObject[];
  readonly #slices: readonly EndpointSliceObject[];
  readonly #domain: string;

  constructor(services: readonly ServiceObject[], slices: readonly EndpointSliceObject[], domain: string) {
    this.#services = services;
    this.#slices = slices;
    this.#domain = domain;
  }

  /** All the targets that a connection to this full name, or virtual address, may reach. */
  targetsOf(host: string, port: number, hops = 0): Target[] {
    const virtual = this.#services.find(
      ({ spec }) => spec?.type !== "ExternalName" && [spec?.clusterIP, ...(spec?.clusterIPs ?? [])].includes(host),
    );
    if (virtual !== undefined && host !== "None") return this.#proxied(virtual, port);
    const parts = host.endsWith(`.svc.${this.#domain}`) ? host.slice(0, -`.svc.${this.#domain}`.length).split(".") : [];
    const [namespace, name, hostname] = [...parts].reverse();
    const service = this.#services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
    if (service === undefined || parts.length > 3 || hops > 8) return [];
    if (service.spec?.type === "ExternalName") {
      const next = service.spec.externalName ?? "";
      return hostname === undefined ? this.targetsOf(next, port, hops + 1) : [];
    }
    if (service.spec?.clusterIP !== "None") return hostname === undefined ? this.#proxied(service, port) : [];
    return this.#endpointsOf(service)
      .filter(({ endpoint }) => this.#isReady(service, endpoint))
      .filter(({ endpoint }) => hostname === undefined || endpoint.hostname === hostname)
      .map(({ endpoint }) => ({ pod: podOf(endpoint), port }));
  }

  #proxied(service: ServiceObject, port: number): Target[] {
    if (service.spec?.internalTrafficPolicy === "Local") return [];
    const name = service.spec?.ports?.find((one) => one.port === port)?.name;
    if (name === undefined) return [];
    const endpoints = this.#endpointsOf(service);
    const ready = endpoints.filter(({ endpoint }) => this.#isReady(service, endpoint));
    const draining = endpoints.filter(({ endpoint: { conditions } }) => conditions?.terminating && conditions.serving);
    return (ready.length > 0 ? ready : draining).flatMap(({ endpoint, slice }) => {
      const target = slice.ports?.find((one) => one.name === name)?.port;
      return target == null ? [] : [{ pod: podOf(endpoint), port: target }];
    });
  }

  #isReady({ spec }: ServiceObject, { conditions }: Endpoint): boolean {
    if (spec?.publishNotReadyAddresses) return true;
    return conditions?.ready !== false && !conditions?.terminating;
  }

  #endpointsOf({ metadata }: ServiceObject) {
    return this.#slices
      .filter((slice) => slice.metadata.namespace === metadata.namespace)
      .filter((slice) => slice.metadata.labels?.["kubernetes.io/service-name"] === metadata.name)
      .flatMap((slice) => (slice.endpoints ?? []).map((endpoint) => ({ endpoint, slice })));
  }
}

function podOf({ targetRef }: Endpoint): string {
  return `${targetRef?.namespace}/${targetRef?.name}`;
}
