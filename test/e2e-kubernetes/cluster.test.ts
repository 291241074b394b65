/**
 * Cutline on a whole cluster, by what its user has: helm, kubectl and the plugin. The tests are one story, told in order;
 * when one fails, those after it do, too, and what is there is taken away all the same.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { until } from "@cutline/e2e";
import { Bank, branches, openingCents } from "./src/bank.ts";
import { Installation, readSettings } from "./src/installation.ts";
import { apply, inventory, kubectl } from "./src/kubernetes.ts";
import { type Audited, type GlobalSnapshot, Snapshots } from "./src/snapshots.ts";

const namespaces = { cutline: "cutline-e2e", bank: "cutline-e2e-bank" };
const firstSnapshotMsMax = 120_000;
const snapshotSeconds = 90;
const everyMs = 5_000;

const repository = new URL("../../", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("package.json", repository), "utf8")) as { version: string };
const plugin = fileURLToPath(new URL("node_modules/.bin/kubectl-cutline", repository));

describe("on a cluster", { timeout: 25 * 60_000 }, () => {
  const settings = readSettings(process.env, version);
  const installation = new Installation(settings, namespaces.cutline);
  const bank = new Bank(namespaces.bank);
  const snapshots = new Snapshots(namespaces.bank, `${namespaces.bank}/reader`, plugin);
  let existing: ReadonlySet<string>;
  let uninstalled: "no" | "yes" = "no";
  let story: "goes on" | "is broken" = "goes on";

  const conserved = async (name: string, snapshot: GlobalSnapshot): Promise<Audited> => {
    const endedMs = Date.parse(snapshot.status?.endedAt ?? "");
    const audited = await snapshots.audit(name, (pods) => bank.expectedCents(pods, endedMs));
    const { audit, expectedCents, violations } = audited;
    assert.deepEqual(violations, [], `the document of ${name} does not verify`);
    const found = JSON.stringify({ ...audit, expectedCents }, undefined, 1);
    assert.equal(audit.verdict, "conserved", `${name} is exact and whole, and wrong: ${found}`);
    return audited;
  };
  const isWhole = ({ status }: GlobalSnapshot) =>
    status?.phase === "Completed" && status.exact === true && status.partial !== true;
  /** Whole and right to the cent, flagged and naming why, or failed and saying why: anything else is wrong. */
  const judge = async (name: string, snapshot: GlobalSnapshot): Promise<"whole" | "flagged" | "failed"> => {
    const { phase, reason, problems = [] } = snapshot.status ?? {};
    if (isWhole(snapshot)) {
      await conserved(name, snapshot);
      return "whole";
    }
    if (phase === "Completed") {
      assert.ok(problems.length > 0, `${name} is flagged and names no problem: ${JSON.stringify(snapshot.status)}`);
      return "flagged";
    }
    assert.ok(reason, `${name} failed and says no reason: ${JSON.stringify(snapshot.status)}`);
    return "failed";
  };
  const take = async (name: string): Promise<"whole" | "flagged"> => {
    await snapshots.create(name);
    const snapshot = await snapshots.ended(name, snapshotSeconds);
    const judgement = await judge(name, snapshot);
    assert.ok(judgement !== "failed", `${name}: ${JSON.stringify(snapshot.status)}`);
    return judgement;
  };

  const left = async () => [...(await inventory())].filter((one) => !existing.has(one) && isOurs(one)).sort();
  const assertNoneFailed = async () => {
    for (const { state } of await bank.statuses())
      assert.deepEqual(state.failures, {}, `calls of ${state.branch} failed`);
  };

  before(async () => {
    assert.ok(process.env.KUBECONFIG, "KUBECONFIG has to say which cluster; its administrator's rights are needed");
    console.log(await kubectl(["version"]));
    existing = await inventory();
  });

  beforeEach(() => assert.equal(story, "goes on", "a test before this one has failed"));
  afterEach((test) => {
    if ("passed" in test && !test.passed) story = "is broken";
  });

  after(async () => {
    bank.close();
    if (uninstalled === "yes") return;
    if (process.env.CUTLINE_E2E_KEEP) {
      console.log("CUTLINE_E2E_KEEP: everything is left as it is");
      return;
    }
    console.log(await kubectl(["get", "pods,events,gsnap", "-A"]).catch(String));
    await kubectl(["delete", "namespace", namespaces.bank, "--ignore-not-found", "--wait=false"]);
    await installation.uninstall().catch((error: unknown) => console.log(`nothing to uninstall: ${error}`));
    await kubectl(["delete", "clusterrolebinding", "cutline-e2e-reader", "--ignore-not-found"]);
    await kubectl(["delete", "namespace", namespaces.cutline, "--ignore-not-found", "--timeout=90s"], {
      timeoutMs: 100_000,
    });
  });

  it("goes from helm install to the bank's first completed snapshot in two minutes", async (test) => {
    const begunMs = performance.now();
    await installation.install();
    const installedMs = performance.now() - begunMs;
    await bank.deploy(settings.bankImage);
    const deployedMs = performance.now() - begunMs;
    await snapshots.create("first");
    await kubectl(["wait", "--for=condition=Completed", "--timeout=90s", "-n", namespaces.bank, "gsnap/first"], {
      timeoutMs: 100_000,
    });
    const completedMs = performance.now() - begunMs;
    test.diagnostic(`installed after ${seconds(installedMs)}, bank ready after ${seconds(deployedMs)}`);
    test.diagnostic(`first completed snapshot after ${seconds(completedMs)}`);
    assert.ok(completedMs < firstSnapshotMsMax, `the first snapshot was there after ${seconds(completedMs)}`);
  });

  it("injected an agent into every pod of the bank", async () => {
    const pods = await bank.pods();
    assert.equal(pods.length, branches.length);
    for (const { metadata } of pods) assert.ok(metadata.annotations?.["cutline.dev/injected"], metadata.name);
  });

  it("lets a person read the state by the snapshot's name, and every cent is there", async (test) => {
    const { bank: namespace } = namespaces;
    const roles = await kubectl(["get", "clusterroles", "-o", "name", "-l", "app.kubernetes.io/instance=cutline"]);
    const operate = roles.split("\n").find((role) => role.endsWith(`${namespaces.cutline}-operate`));
    assert.ok(operate, `the chart has brought a role for people: ${roles}`);
    await apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "reader", namespace } });
    await apply({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "cutline-e2e-reader" },
      subjects: [{ kind: "ServiceAccount", name: "reader", namespace }],
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: operate.split("/")[1] },
    });
    const first = await snapshots.get("first");
    test.diagnostic(`the first one is ${await judge("first", first)}`);
    const { audit, pods, violations } = await snapshots.audit("first", (all) => all.length * openingCents);
    assert.deepEqual(violations, []);
    assert.equal(pods.length, branches.length);
    assert.equal(audit.verdict, "conserved", JSON.stringify(audit));
  });

  it("survives that the leader is deleted in mid-snapshot", async (test) => {
    const leader = await until("a leader", () => installation.leader(), { timeoutMs: 30_000, everyMs: 500 });
    assert.ok((await installation.coordinators()).length >= 2, "a second replica is there");
    await snapshots.create("orphan", { attempts: 3, timeoutSeconds: 60 });
    await until("a snapshot in its midst", async () => (await snapshots.get("orphan")).status?.phase, { everyMs: 20 });
    await kubectl(["delete", "pod", leader, "-n", namespaces.cutline, "--wait=false"]);
    const orphan = await snapshots.ended("orphan", snapshotSeconds);
    const { phase, reason, message } = orphan.status ?? {};
    test.diagnostic(`the orphan: ${phase} ${reason ?? ""} ${message ?? ""}`);
    test.diagnostic(`it is ${await judge("orphan", orphan)}`);
    const next = await until(
      "another leader",
      async () => {
        const now = await installation.leader();
        return now === leader ? undefined : now;
      },
      { timeoutMs: 60_000, everyMs: 500 },
    );
    test.diagnostic(`${next} leads after ${leader}`);
    test.diagnostic(`the next one is ${await take("after-leader")}`);
  });

  it("fails no call and takes no wrong snapshot while the bank restarts under load", async (test) => {
    await assertNoneFailed();
    const names: string[] = [];
    let rolling: "yes" | "no" = "yes";
    const looking = (async () => {
      while (rolling === "yes") {
        await bank.look();
        await delay(500);
      }
    })();
    const taking = (async () => {
      while (rolling === "yes") {
        const name = `rolling-${names.length + 1}`;
        await snapshots.create(name);
        names.push(name);
        await delay(everyMs);
      }
    })();
    try {
      await bank.restart();
      await until(
        "the old pods to be gone",
        async () => ((await bank.pods()).length === branches.length ? "gone" : undefined),
        { timeoutMs: 120_000, everyMs: 500 },
      );
    } finally {
      rolling = "no";
      await Promise.all([looking, taking]);
    }
    await bank.look();
    await bank.settled();

    const counts = { whole: 0, flagged: 0, failed: 0 };
    for (const name of names) {
      const snapshot = await snapshots.ended(name, snapshotSeconds);
      const judgement = await judge(name, snapshot);
      counts[judgement] += 1;
      const { reason = "", message = "", problems = [] } = snapshot.status ?? {};
      test.diagnostic(`${name}: ${judgement} ${reason} ${message} ${JSON.stringify(problems)}`);
    }
    test.diagnostic(`${names.length} snapshots: ${JSON.stringify(counts)}`);
    const old = [...bank.lives].filter(([, { leftMs }]) => leftMs !== undefined);
    assert.equal(old.length, branches.length, "every branch had one restart");
    for (const [pod, { final }] of old) assert.deepEqual(final?.failures, {}, `calls of ${pod} failed`);
    await assertNoneFailed();
    assert.equal(await take("after-rolling"), "whole");
  });

  it("goes on after the coordinators were restarted", async () => {
    await installation.restartCoordinators();
    assert.equal(await take("after-restart"), "whole");
    await assertNoneFailed();
  });

  it("has every cent when the bank is quiet", async () => {
    await bank.statuses("POST /pause");
    const quiet = await until(
      "a quiet bank",
      async () => {
        const statuses = await bank.statuses();
        return statuses.every(({ callsOpen }) => callsOpen === 0) ? statuses : undefined;
      },
      { timeoutMs: 60_000, everyMs: 500 },
    );
    const alive = (await bank.pods()).map(({ metadata }) => metadata.name);
    const totalCents = quiet.reduce((sum, { state }) => sum + state.balanceCents + state.unresolvedCents, 0);
    assert.equal(quiet.length, branches.length);
    assert.equal(totalCents, bank.expectedCents(alive, Number.POSITIVE_INFINITY));
    await bank.statuses("POST /resume");
  });

  it("leaves nothing but the definitions when it is uninstalled, and those go as the documentation says", async () => {
    await kubectl(["delete", "gsnap", "--all", "-n", namespaces.bank, "--timeout=90s"], { timeoutMs: 100_000 });
    await installation.uninstall();
    await kubectl(["delete", "clusterrolebinding", "cutline-e2e-reader"]);
    await kubectl(["delete", "namespace", namespaces.bank, namespaces.cutline, "--timeout=120s"], {
      timeoutMs: 150_000,
    });
    uninstalled = "yes";
    const more = await left();
    assert.deepEqual(more, [
      // Made by the API server for the definitions.
      "APIService/<none>/v1alpha1.cutline.dev",
      "CustomResourceDefinition/<none>/globalsnapshots.cutline.dev",
      "CustomResourceDefinition/<none>/globalsnapshotschedules.cutline.dev",
    ]);
    await kubectl(["delete", "crd", "globalsnapshots.cutline.dev", "globalsnapshotschedules.cutline.dev"]);
    await until("nothing to be left", async () => ((await left()).length === 0 ? "nothing" : undefined), {
      timeoutMs: 60_000,
      everyMs: 1_000,
    });
  });
});

/** Other things come and go on a cluster at the same time. */
function isOurs(one: string): boolean {
  return /cutline/i.test(one) && !one.startsWith("PodMetrics/");
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
