import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { holdersOf, mayDeclare } from "../../../src/kubernetes/discovery/declared.ts";
import { service } from "../support/services.ts";

const domain = "cluster.local";
const holders = holdersOf([service("shop/bank"), service("shop/money"), service("evil/money")], domain);
const may = (authority: string, processId: string) =>
  mayDeclare(
    authority,
    { processId, linkAddress: "10.1.0.66:15008", applicationPort: 1, inboundPort: 2 },
    holders,
    domain,
  );

describe("an authority that an agent declares", () => {
  for (const authority of [
    "bank:80",
    "BANK:80",
    "bank.:80",
    "bank.shop:80",
    "bank.shop.svc:80",
    "bank.shop.svc.cluster.local:grpc",
    "bank.shop.svc.cluster.local.:80",
    "later.shop.svc:80",
    "bank-0.bank.shop:80",
    "bank-0.bank.shop.svc.cluster.local:80",
    "bank-0.bank:80",
    "money:80",
    "10.96.0.7:80",
    "[fd00::7]:80",
    "127.0.0.1:80",
  ]) {
    it(`does not count where it is another's: ${authority}`, () => assert.equal(may(authority, "evil/pod-0"), false));
  }

  for (const authority of [
    "bank.shop:80",
    "bank.shop.svc.cluster.local:80",
    "later.shop.svc:80",
    "bank:80",
    "bank-0.bank:80",
  ]) {
    it(`counts in the namespace whose it is: ${authority}`, () => assert.equal(may(authority, "shop/bank-0"), true));
  }

  for (const authority of ["bank.example:443", "free:1", "10.1.0.66:9000"]) {
    it(`counts where it is nobody's in the cluster: ${authority}`, () =>
      assert.equal(may(authority, "evil/pod-0"), true));
  }
});
