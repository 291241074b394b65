import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EndpointSliceObject, ServiceObject } from "../../../src/kubernetes/discovery/objects.ts";
import { authoritiesOf, pictureOf } from "../../../src/kubernetes/discovery/picture.ts";
import { ClusterNetwork } from "../support/cluster-network.ts";
import { endpoint, service, slice } from "../support/services.ts";

const domain = "cluster.local";
const keys = ["shop/a", "shop/b", "bank/a", "bank/b"] as const;
const pods = ["shop/p-0", "shop/p-1", "bank/p-0"] as const;
const ports = [80, 81, 9000, 9001] as const;
const portNames = ["grpc", "admin"] as const;
const fullName = (key: string) => `${key.split("/").reverse().join(".")}.svc.${domain}`;

const targetPorts = [9000, 9000, 9000, 80, 9001] as const;

const servicePorts = fc
  .uniqueArray(fc.record({ name: fc.constantFrom(...portNames), port: fc.constantFrom(...ports) }), {
    maxLength: 2,
    selector: ({ name }) => name,
  })
  .filter((list) => new Set(list.map(({ port }) => port)).size === list.length);

const anyService = (key: string, index: number): fc.Arbitrary<ServiceObject> =>
  fc
    .oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant("virtual" as const),
          ports: servicePorts,
          policy: fc.constantFrom("Cluster", "Local"),
          all: fc.boolean(),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant("headless" as const),
          ports: servicePorts,
          policy: fc.constant("Cluster"),
          all: fc.boolean(),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("alias" as const),
          to: fc.constantFrom(...keys.map(fullName), `p-0.${fullName("shop/a")}`, "example.com"),
        }),
      },
    )
    .map((plan) => {
      if (plan.kind === "alias")
        return service(key, { type: "ExternalName", externalName: plan.to, clusterIP: "", ports: [] });
      const clusterIP = plan.kind === "headless" ? "None" : `10.96.0.${index}`;
      return service(key, {
        clusterIP,
        ports: plan.ports,
        internalTrafficPolicy: plan.policy,
        publishNotReadyAddresses: plan.all,
      });
    });

const anyEndpoint = fc
  .record({
    pod: fc.constantFrom(...pods),
    hostname: fc.boolean(),
    conditions: fc.constantFrom(
      { ready: true, serving: true, terminating: false },
      { ready: false, serving: false, terminating: false },
      { ready: false, serving: true, terminating: true },
      { ready: false, serving: false, terminating: true },
      { ready: true, serving: true, terminating: true },
    ),
  })
  .map(({ pod, hostname, conditions }) =>
    endpoint(pod, { conditions, ...(hostname && { hostname: pod.split("/")[1] ?? "" }) }),
  );

const anySlice = (index: number): fc.Arbitrary<EndpointSliceObject> =>
  fc
    .record({
      of: fc.constantFrom(...keys),
      endpoints: fc.array(anyEndpoint, { minLength: 1, maxLength: 3 }),
      ports: fc.uniqueArray(fc.record({ name: fc.constantFrom(...portNames), port: fc.constantFrom(...targetPorts) }), {
        minLength: 1,
        maxLength: 2,
        selector: ({ name }) => name,
      }),
    })
    .map((plan) => {
      const [namespace = "", name = ""] = plan.of.split("/");
      return slice(`${namespace}/slice-${index}`, name, plan.endpoints, { ports: plan.ports });
    });

const cluster = fc.record({
  services: fc.tuple(...keys.map(anyService)).chain((all) => fc.subarray([...all], { minLength: 2 })),
  slices: fc.tuple(...[0, 1, 2, 3].map(anySlice)).chain((all) => fc.subarray([...all], { minLength: 2 })),
});

describe("the picture of any cluster", () => {
  it("leads every authority to just those processes to which the cluster's own network leads it", () => {
    let led = 0;
    fc.assert(
      fc.property(cluster, ({ services, slices }) => {
        const picture = pictureOf(services, slices, domain);
        const network = new ClusterNetwork(services, slices, domain);
        const names = keys.map(fullName);
        const podNames = names.flatMap((name) => [`p-0.${name}`, `p-1.${name}`]);
        const hosts = [...names, ...podNames, ...keys.map((_, index) => `10.96.0.${index}`)];
        for (const processId of pods) {
          const process = { processId, linkAddress: "127.0.0.1:1", applicationPort: 9000, inboundPort: undefined };
          const told = new Set(authoritiesOf(picture, process));
          for (const host of hosts) {
            for (const port of ports) {
              const reached = network.targetsOf(host, port).some((to) => to.pod === processId && to.port === 9000);
              assert.equal(told.has(`${host}:${port}`), reached, `${host}:${port} and ${processId}`);
              if (reached) led += 1;
            }
          }
        }
      }),
      { numRuns: 1_000 },
    );
    assert.ok(led > 1_000, `only ${led} authorities led anywhere: the clusters are too poor`);
  });

  it("does not depend on the order of the objects", () => {
    fc.assert(
      fc.property(cluster, ({ services, slices }) => {
        for (const processId of pods) {
          const process = { processId, linkAddress: "10.1.0.1:1", applicationPort: 9000, inboundPort: 15_006 };
          assert.deepEqual(
            authoritiesOf(pictureOf(services, slices, domain), process),
            authoritiesOf(pictureOf([...services].reverse(), [...slices].reverse(), domain), process),
          );
        }
      }),
      { numRuns: 200 },
    );
  });
});
