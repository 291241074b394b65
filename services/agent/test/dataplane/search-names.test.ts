import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KnownProcesses } from "../../src/dataplane/link/known-processes.ts";
import { searchNames } from "../../src/dataplane/link/search-names.ts";

const nobody = () => false;
const named = (processId: string, ...authorities: string[]) => ({
  processId,
  incarnation: "1",
  linkAddress: "127.0.0.1:1",
  authorities,
});

function processesOf(namespace: string, ...processes: ReturnType<typeof named>[]): KnownProcesses {
  const known = new KnownProcesses(namespace);
  known.replace({ version: 1, processes, clusterDomain: "cluster.local" }, nobody);
  return known;
}

describe("names as callers write them", () => {
  const known = processesOf(
    "web",
    named("shop/bank-0", "bank.shop.svc.cluster.local:80", "bank-0.bank.shop.svc.cluster.local:9000", "10.96.0.7:80"),
    named("web/bank-0", "bank.web.svc.cluster.local:80", "bank.web.svc.cluster.local:grpc"),
    named("web/first", "one.bank.web.svc.cluster.local:80"),
    named("shop/other", "one.shop.svc.cluster.local:80"),
  );
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["bank:80", "web/bank-0"],
    ["BANK:80", "web/bank-0"],
    ["bank:grpc", "web/bank-0"],
    ["bank.web:80", "web/bank-0"],
    ["bank.shop:80", "shop/bank-0"],
    ["bank.shop.svc:80", "shop/bank-0"],
    ["bank.shop.svc.cluster.local:80", "shop/bank-0"],
    ["bank.shop.svc.cluster.local.:80", "shop/bank-0"],
    ["Bank.Shop.svc.Cluster.Local:80", "shop/bank-0"],
    ["bank-0.bank.shop:9000", "shop/bank-0"],
    ["bank-0.bank.shop.svc:9000", "shop/bank-0"],
    ["one.bank:80", "web/first"],
    ["10.96.0.7:80", "shop/bank-0"],
    ["bank.shop:81", undefined],
    ["bank.shop", undefined],
    ["bank.shop.:80", undefined],
    ["bank.:80", undefined],
    ["shop:80", undefined],
    ["10.96.0.8:80", undefined],
    ["[fd00::1]:80", undefined],
    ["", undefined],
    [`${"a".repeat(300)}:80`, undefined],
  ];
  for (const [authority, process] of cases) {
    it(`leads ${JSON.stringify(authority.slice(0, 40))} to ${process ?? "nobody"}`, () => {
      assert.equal(known.serving(authority), process);
      assert.equal(known.serving(authority), process, "and so again");
    });
  }

  it("are relative to the caller's namespace, and what a process declares comes first", () => {
    const both = [
      named("shop/bank-0", "bank.shop.svc.cluster.local:80"),
      named("bank/0", "bank.bank.svc.cluster.local:80"),
    ];
    assert.equal(processesOf("shop", ...both).serving("bank:80"), "shop/bank-0");
    assert.equal(processesOf("bank", ...both).serving("bank:80"), "bank/0");
    assert.equal(processesOf("shop", ...both, named("x/declared", "bank:80")).serving("bank:80"), "x/declared");
  });

  it("are the mesh's, where those who would serve them take no calls now", () => {
    const waiting = { ...named("shop/bank-0"), closed: { authorities: ["bank.shop.svc.cluster.local:80"] } };
    const known = processesOf("shop", waiting, named("x/0", "bank.svc.cluster.local:80"));
    assert.equal(known.closedAt("bank:80"), "shop/bank-0");
    assert.equal(known.serving("bank:80"), undefined, "nor does the next name count that a resolver would try");
    assert.equal(known.closedAt("shop:80"), undefined);
    const open = processesOf("shop", waiting, named("shop/bank-1", "bank.shop.svc.cluster.local:80"));
    assert.equal(open.closedAt("bank:80"), undefined);
    assert.equal(open.serving("bank:80"), "shop/bank-1");
  });

  it("are looked for anew in every directory, and not at all without a cluster", () => {
    const processes = [named("shop/bank-0", "bank.shop.svc.cluster.local:80")];
    const known = processesOf("shop", ...processes);
    assert.equal(known.serving("bank:80"), "shop/bank-0");
    known.replace(
      {
        version: 2,
        processes: [named("shop/bank-1", "bank.shop.svc.cluster.local:80")],
        clusterDomain: "cluster.local",
      },
      nobody,
    );
    assert.equal(known.serving("bank:80"), "shop/bank-1");
    known.replace({ version: 3, processes: [], clusterDomain: "cluster.local" }, nobody);
    assert.equal(known.serving("bank:80"), undefined);
    known.replace({ version: 4, processes }, nobody);
    assert.equal(known.serving("bank:80"), undefined);
    assert.equal(known.serving("bank.shop.svc.cluster.local:80"), "shop/bank-0");
  });

  it("are turned to every process that serves them, whichever way they are written", () => {
    const authority = "bank.shop.svc.cluster.local:80";
    const known = processesOf("shop", named("shop/bank-0", authority), named("shop/bank-1", authority));
    const chosen = ["bank:80", "bank.shop:80", "bank:80", authority].map((one) => known.serving(one));
    assert.equal(chosen.filter((one) => one === "shop/bank-0").length, 2, String(chosen));
  });

  it("are at most four, and none of an address", () => {
    assert.deepEqual(searchNames("bank:80", "shop", "cluster.local"), [
      "bank.shop.svc.cluster.local:80",
      "bank.svc.cluster.local:80",
      "bank.cluster.local:80",
      "bank:80",
    ]);
    assert.deepEqual(searchNames("bank.shop.:80", "shop", "cluster.local"), ["bank.shop:80"]);
    assert.deepEqual(searchNames("10.0.0.1:80", "shop", "cluster.local"), []);
  });
});
