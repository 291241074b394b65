import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EndpointSliceObject, ServiceObject } from "../../../src/kubernetes/discovery/objects.ts";
import {
  authoritiesOf,
  closedAuthoritiesOf,
  type NamedProcess,
  pictureOf,
} from "../../../src/kubernetes/discovery/picture.ts";
import { endpoint, service, slice } from "../support/services.ts";

const domain = "cluster.local";

const process = (processId: string, fields: Partial<NamedProcess> = {}): NamedProcess => ({
  processId,
  linkAddress: "127.0.0.1:15008",
  applicationPort: 9000,
  inboundPort: 15_006,
  ...fields,
});

function authorities(
  services: readonly ServiceObject[],
  slices: readonly EndpointSliceObject[],
  { processId, ...fields }: Partial<NamedProcess> = {},
): string[] {
  return authoritiesOf(pictureOf(services, slices, domain), process(processId ?? "shop/bank-0", fields));
}

const bank = [service("shop/bank")];
const bankSlice = (conditions?: object, pod = "shop/bank-0") =>
  slice(`shop/bank-${pod.slice(-1)}`, "bank", [endpoint(pod, conditions && { conditions })]);
const bankNames = ["10.96.0.7:80", "bank.shop.svc.cluster.local:80", "bank.shop.svc.cluster.local:grpc"];

describe("the authorities of a process", () => {
  it("are its Service's name and address, with the port by number and by name", () => {
    assert.deepEqual(authorities(bank, [bankSlice()]), bankNames);
  });

  it("are those of every Service that leads to it", () => {
    const services = [...bank, service("shop/money", { clusterIP: "10.96.0.8", ports: [{ port: 443 }] })];
    const unnamed = slice("shop/money-x", "money", [endpoint("shop/bank-0")], { ports: [{ name: "", port: 9000 }] });
    assert.deepEqual(
      authorities(services, [bankSlice(), unnamed]),
      [...bankNames, "10.96.0.8:443", "money.shop.svc.cluster.local:443"].sort(),
    );
  });

  it("are none of another port of its pod, nor of another protocol", () => {
    const ports = [
      { name: "metrics", port: 9100 },
      { name: "grpc", port: 80, protocol: "UDP" },
    ];
    const other = slice("shop/bank-x", "bank", [endpoint("shop/bank-0")], { ports: [{ name: "metrics", port: 9464 }] });
    const datagrams = slice("shop/bank-y", "bank", [endpoint("shop/bank-0")], {
      ports: [{ name: "grpc", port: 9000, protocol: "UDP" }],
    });
    assert.deepEqual(authorities([service("shop/bank", { ports })], [other, datagrams]), []);
    assert.deepEqual(authorities(bank, [datagrams]), []);
  });

  it("tell ports apart by name, each with its pod's own number", () => {
    const ports = [
      { name: "grpc", port: 80 },
      { name: "admin", port: 81 },
    ];
    const slices = [
      slice("shop/a", "bank", [endpoint("shop/a-0")], {
        ports: [
          { name: "grpc", port: 9000 },
          { name: "admin", port: 9001 },
        ],
      }),
      slice("shop/b", "bank", [endpoint("shop/b-0")], {
        ports: [
          { name: "grpc", port: 9001 },
          { name: "admin", port: 9000 },
        ],
      }),
    ];
    const ofA = authorities([service("shop/bank", { ports })], slices, { processId: "shop/a-0" });
    const ofB = authorities([service("shop/bank", { ports })], slices, { processId: "shop/b-0" });
    assert.ok(ofA.includes("10.96.0.7:80") && !ofA.includes("10.96.0.7:81"), String(ofA));
    assert.ok(ofB.includes("10.96.0.7:81") && !ofB.includes("10.96.0.7:80"), String(ofB));
  });

  it("count the agent's inbound port as the application's", () => {
    const inbound = slice("shop/bank-x", "bank", [endpoint("shop/bank-0")], {
      ports: [{ name: "grpc", port: 15_006 }],
    });
    assert.deepEqual(authorities(bank, [inbound]), bankNames);
  });

  it("are none where the agent tells no port", () => {
    const silent = { applicationPort: undefined, inboundPort: undefined, linkAddress: "10.1.0.9:15008" };
    assert.deepEqual(authorities(bank, [bankSlice()], silent), []);
  });

  it("of a headless Service are names of the pod's own address, so with the pod's ports", () => {
    const headless = service("shop/bank", { clusterIP: "None", clusterIPs: ["None"] });
    const named = slice("shop/bank-x", "bank", [endpoint("shop/bank-0", { hostname: "bank-0" })]);
    const portless = service("shop/bank", { clusterIP: "None", ports: [] });
    const expected = [
      "bank-0.bank.shop.svc.cluster.local:15006",
      "bank-0.bank.shop.svc.cluster.local:9000",
      "bank.shop.svc.cluster.local:15006",
      "bank.shop.svc.cluster.local:9000",
    ];
    assert.deepEqual(authorities([headless], [named]), expected);
    assert.deepEqual(authorities([portless], [{ ...named, ports: null }]), expected);
  });

  it("are of both families where the Service has both", () => {
    const dual = service("shop/bank", { clusterIPs: ["10.96.0.7", "fd00::7"] });
    const slices = [
      bankSlice(),
      slice("shop/bank-6", "bank", [endpoint("shop/bank-0", { addresses: ["fd00::9"] })], { addressType: "IPv6" }),
    ];
    assert.deepEqual(authorities([dual], slices), [...bankNames, "[fd00::7]:80"].sort());
  });

  it("are the pod's own address with its ports, ready or not", () => {
    const at = (linkAddress: string) => authorities([], [], { linkAddress });
    assert.deepEqual(at("10.1.0.9:15008"), ["10.1.0.9:15006", "10.1.0.9:9000"]);
    assert.deepEqual(at("[fd00::9]:15008"), ["[fd00::9]:15006", "[fd00::9]:9000"]);
    assert.deepEqual([...at("127.0.0.1:1"), ...at("0.0.0.0:1"), ...at("[::1]:1"), ...at("agent.shop:1")], []);
  });

  it("come by address where a slice names no pod, as of a Service without a selector", () => {
    const byHand = slice("shop/bank-x", "bank", [{ addresses: ["10.1.0.9"] }]);
    const here = { linkAddress: "10.1.0.9:15008" };
    const elsewhere = { linkAddress: "10.1.0.10:15008" };
    assert.ok(authorities(bank, [byHand], here).includes("bank.shop.svc.cluster.local:80"));
    assert.ok(!authorities(bank, [byHand], elsewhere).includes("bank.shop.svc.cluster.local:80"));
  });

  it("are none of a Service whose endpoints depend on the caller's node, nor of names instead of addresses", () => {
    assert.deepEqual(authorities([service("shop/bank", { internalTrafficPolicy: "Local" })], [bankSlice()]), []);
    assert.deepEqual(authorities(bank, [{ ...bankSlice(), addressType: "FQDN" }]), []);
    assert.deepEqual(authorities(bank, [{ ...bankSlice(), endpoints: null }]), []);
    assert.deepEqual(authorities([], [bankSlice()]), [], "its Service is gone");
  });
});

describe("who gets new calls", () => {
  const serving = (
    conditions: object | undefined,
    others: readonly EndpointSliceObject[] = [],
    spec: ServiceObject["spec"] = {},
  ) => authorities([service("shop/bank", spec)], [bankSlice(conditions), ...others]).length > 0;
  const ready = bankSlice({ ready: true }, "shop/bank-1");

  it("is who is ready; nothing said means ready", () => {
    assert.equal(serving(undefined), true);
    assert.equal(serving({}), true);
    assert.equal(serving({ ready: true, serving: true, terminating: false }), true);
    assert.equal(serving({ ready: false }), false);
  });

  it("is told of who is not, too: their names are the mesh's, and no way past it", () => {
    const closed = (conditions: object, podAddress = "127.0.0.1:15008") =>
      closedAuthoritiesOf(
        pictureOf(bank, [bankSlice(conditions)], domain),
        process("shop/bank-0", { linkAddress: podAddress }),
      );
    assert.deepEqual(closed({ ready: false }), bankNames);
    assert.deepEqual(closed({ ready: false }, "10.244.0.7:15008"), bankNames, "its own address is open");
    assert.deepEqual(closed({ ready: false, serving: false, terminating: true }), bankNames);
    assert.deepEqual(closed({ ready: true }), []);
  });

  it("is nobody who terminates, as long as somebody is ready, with an agent or without", () => {
    const terminating = { ready: false, serving: true, terminating: true };
    assert.equal(serving(terminating, [ready]), false);
    assert.equal(serving(terminating), true, "what still serves is better than nothing");
    assert.equal(serving({ ready: false, serving: false, terminating: true }), false);
    assert.equal(serving({ ready: true, terminating: true }, [ready]), false);
    assert.equal(serving(terminating, [], { clusterIP: "None" }), false, "it is not in the DNS");
  });

  it("is everybody where a Service publishes what is not ready", () => {
    assert.equal(serving({ ready: false }, [ready], { publishNotReadyAddresses: true }), true);
    assert.equal(serving({ ready: true, terminating: true }, [ready], { publishNotReadyAddresses: true }), true);
  });
});

describe("a Service of type ExternalName", () => {
  const alias = (key: string, externalName: string) =>
    service(key, { type: "ExternalName", externalName, clusterIP: "", ports: [] });
  const aliased = (...services: ServiceObject[]) => authorities([...bank, ...services], [bankSlice()]);

  it("leads where its name leads, over several too", () => {
    assert.deepEqual(
      aliased(alias("web/pay", "bank.shop.svc.cluster.local"), alias("web/old", "Pay.web.svc.cluster.local.")),
      [
        ...bankNames,
        "pay.web.svc.cluster.local:80",
        "pay.web.svc.cluster.local:grpc",
        "old.web.svc.cluster.local:80",
        "old.web.svc.cluster.local:grpc",
      ].sort(),
    );
  });

  it("leads to a pod of a headless Service", () => {
    const services = [
      service("shop/bank", { clusterIP: "None" }),
      alias("shop/first", "bank-0.bank.shop.svc.cluster.local"),
    ];
    const slices = [
      slice("shop/x", "bank", [endpoint("shop/bank-0", { hostname: "bank-0" }), endpoint("shop/bank-1")]),
    ];
    assert.ok(authorities(services, slices).includes("first.shop.svc.cluster.local:9000"));
    const other = authorities(services, slices, { processId: "shop/bank-1" });
    assert.ok(!other.includes("first.shop.svc.cluster.local:9000"));
  });

  it("leads nowhere out of the cluster, in a circle, or by a short name", () => {
    for (const externalName of ["bank.example.com", "bank.shop.svc", "bank", "x.web.svc.cluster.local"]) {
      assert.deepEqual(aliased(alias("web/x", externalName)), bankNames, externalName);
    }
    assert.deepEqual(
      aliased(alias("web/x", "y.web.svc.cluster.local"), alias("web/y", "x.web.svc.cluster.local")),
      bankNames,
    );
  });
});
