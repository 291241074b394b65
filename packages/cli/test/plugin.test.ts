import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { FakeCluster } from "./support/cluster.ts";
import { FakeCoordinator } from "./support/coordinator.ts";
import { completed, type Loose } from "./support/fixtures.ts";
import { type RunOptions, run } from "./support/run.ts";

describe("kubectl cutline, over an API server that forwards ports", () => {
  let folder: string;
  let cluster: FakeCluster;
  let coordinator: FakeCoordinator;
  let kubeconfig: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-plugin-"));
  });
  after(() => rm(folder, { recursive: true }));

  const write = async (name: string, content: object) => {
    const file = join(folder, name);
    await writeFile(file, JSON.stringify(content));
    return file;
  };

  beforeEach(async () => {
    cluster = await FakeCluster.start();
    coordinator = await FakeCoordinator.start();
    cluster.addCoordinator();
    cluster.podPort = Number(new URL(coordinator.url).port);
    kubeconfig = await write("config", cluster.kubeconfig());
  });

  afterEach(async () => {
    await coordinator[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  const ask = (args: readonly string[], options: RunOptions = {}) =>
    run(args, { mode: "plugin", env: { KUBECONFIG: kubeconfig }, ...options });
  const asksFor = (headers: Loose) => headers.authorization;

  const addObject = (name: string, snapshotId: string, namespace = "shop") => {
    const path = `/apis/cutline.dev/v1alpha1/namespaces/${namespace}/globalsnapshots/${name}`;
    cluster.objects.set(path, { metadata: { name, namespace }, spec: {}, status: { phase: "Completed", snapshotId } });
  };

  it("asks the pod that holds the Lease, with the kubeconfig's own token, and leaves nothing open", async () => {
    const { exitCode, stdout, stderr } = await ask(["topology", "-o", "json"]);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), coordinator.topology);
    assert.deepEqual(cluster.forwarded, ["/api/v1/namespaces/cutline/pods/coordinator-b/portforward?ports=7400"]);
    assert.equal(asksFor(coordinator.asked[0]?.headers), "Bearer user-token");
  });

  it("takes the first ready pod when nobody holds the Lease", async () => {
    cluster.objects.delete("/apis/coordination.k8s.io/v1/namespaces/cutline/leases/cutline-coordinator");
    assert.equal((await ask(["topology"])).exitCode, 0);
    assert.match(String(cluster.forwarded), /coordinator-a/);
  });

  it("asks with a short token of a service account, for the coordinator alone", async () => {
    assert.equal((await ask(["topology", "--service-account", "shop/operator"])).exitCode, 0);
    const asked = cluster.asked.find(({ path }) => path === "/api/v1/namespaces/shop/serviceaccounts/operator/token");
    assert.deepEqual(asked?.body.spec, { audiences: ["cutline"], expirationSeconds: 600 });
    assert.equal(asksFor(coordinator.asked[0]?.headers), "Bearer account-token");
  });

  it("asks without a token when the kubeconfig's user has none", async () => {
    kubeconfig = await write("certificates", cluster.kubeconfig({ username: "me", password: "secret" }));
    assert.equal((await ask(["topology"])).exitCode, 0);
    assert.equal(asksFor(coordinator.asked[0]?.headers), undefined, "nor its password");
  });

  it("gives the state of a GlobalSnapshot by its name, and of anything else by the coordinator's id", async () => {
    coordinator.add();
    addObject("before-upgrade", "s-0001");
    const byName = await ask(["state", "before-upgrade"]);
    assert.deepEqual(JSON.parse(byName.stdout), coordinator.state, byName.stderr);
    const large = "x".repeat(300_000);
    coordinator.state = { ...coordinator.state, large };
    const byId = await ask(["state", "s-0001"]);
    assert.equal(JSON.parse(byId.stdout).large, large, "in frames of several sizes");
    assert.deepEqual(
      coordinator.asked.map(({ url }) => url),
      ["/v1/snapshots/s-0001/state", "/v1/snapshots/s-0001/state"],
    );
  });

  it("compares two GlobalSnapshots by their names", async () => {
    coordinator.add();
    coordinator.add({ id: "s-0002", processes: completed().processes.slice(0, 1) });
    addObject("before", "s-0001");
    addObject("after", "s-0002");
    const { exitCode, stdout } = await ask(["diff", "before", "after", "-o", "json"]);
    assert.equal(exitCode, 1);
    assert.deepEqual(JSON.parse(stdout).processes, [{ id: "bank/south", change: "removed" }]);
  });

  it("says why there is no state: the coordinator has not begun it", async () => {
    addObject("waiting", "");
    const { exitCode, stderr } = await ask(["state", "waiting"]);
    assert.equal(exitCode, 3);
    assert.match(stderr, /shop\/waiting has no state: the coordinator has not started it/);
  });

  it("goes to a URL instead when there is one, with its ids, and needs no cluster", async () => {
    coordinator.add();
    const options = { env: { KUBECONFIG: "/nowhere", CUTLINE_SERVER: "http://127.0.0.1:1" } };
    const { exitCode, stderr } = await ask(["state", "s-0001", "--server", coordinator.url], options);
    assert.equal(exitCode, 0, stderr);
    assert.equal(asksFor(coordinator.asked[0]?.headers), undefined, "the token is for the cluster alone");
    assert.deepEqual(cluster.asked, []);
  });

  const failures: readonly [string, (cluster: FakeCluster) => void, number, RegExp][] = [
    [
      "the kubelet cannot connect",
      (one) => {
        one.forwardFailure = "error forwarding port 7400 to pod: connection refused";
      },
      4,
      /in the pod cutline\/coordinator-b cannot be reached: error forwarding port 7400 to pod: connection refused; see what/,
    ],
    [
      "ports may not be forwarded",
      (one) => {
        one.forwardRefusal = 403;
      },
      4,
      /cannot be reached: .*403.*; see what "kubectl cutline check" says/,
    ],
    [
      "no pod is ready",
      (one) => one.objects.set("/api/v1/namespaces/cutline/pods", { items: [{ metadata: { name: "a" }, status: {} }] }),
      4,
      /none of the 1 pods of the Service cutline\/cutline-coordinator is ready: look at them with "kubectl -n cutline get pods/,
    ],
    [
      "there is no coordinator",
      (one) => one.objects.set("/api/v1/services", { items: [] }),
      3,
      /no coordinator was found in all namespaces\n {2}install Cutline with helm/,
    ],
    [
      "there are several",
      (one) => {
        const { items } = one.objects.get("/api/v1/services");
        const other = { ...items[1], metadata: { ...items[1].metadata, namespace: "other" } };
        one.objects.set("/api/v1/services", { items: [...items, other] });
      },
      2,
      /several coordinators, cutline\/cutline-coordinator, other\/cutline-coordinator: choose one with --coordinator-namespace/,
    ],
  ];
  for (const [what, change, code, message] of failures) {
    it(`tells what to do when ${what}`, async () => {
      change(cluster);
      const { exitCode, stderr } = await ask(["topology"]);
      assert.match(stderr, message);
      assert.equal(exitCode, code);
    });
  }

  describe("the kubeconfig", () => {
    it("may be one of several files, of which the first that has a name says what it means", async () => {
      const other = await FakeCluster.start();
      const first = await write("first", { ...cluster.kubeconfig(), "current-context": "" });
      const rest = other.kubeconfig() as Loose;
      rest.contexts.push({ name: "other", context: { cluster: "other", user: "me" } });
      rest.clusters.push({ ...rest.clusters[0], name: "other" });
      const second = await write("second", rest);
      const env = { KUBECONFIG: `${join(folder, "missing")}:${first}:${second}` };
      assert.equal((await ask(["topology"], { env })).exitCode, 0, "the first one's cluster has a coordinator");
      assert.equal((await ask(["topology", "--context", "other"], { env })).exitCode, 3, "the other one's has none");
      assert.ok(other.asked.length > 0);
      await other[Symbol.asyncDispose]();
    });

    it("may be named on the command line, or stand in the home folder", async () => {
      assert.equal((await ask(["topology", "--kubeconfig", kubeconfig], { env: {} })).exitCode, 0);
      const { exitCode, stderr } = await ask(["topology"], { env: { HOME: folder } });
      assert.equal(exitCode, 2);
      assert.match(stderr, /there is no kubeconfig at .*\.kube\/config: name one with --kubeconfig or KUBECONFIG/);
    });

    it("is judged: contexts that are not there, files that cannot be read, commands that fail", async () => {
      const unknown = await ask(["topology", "--context", "none"]);
      assert.deepEqual([unknown.exitCode, /no context none; the kubeconfig has fake/.test(unknown.stderr)], [2, true]);
      const broken = join(folder, "broken");
      await writeFile(broken, "{");
      const unread = await ask(["topology", "--kubeconfig", broken]);
      assert.deepEqual([unread.exitCode, /cannot be read as a kubeconfig/.test(unread.stderr)], [2, true]);
      const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "false", interactiveMode: "Never" };
      const failing = await write("failing", cluster.kubeconfig({ exec }));
      const refused = await ask(["topology", "--kubeconfig", failing]);
      assert.deepEqual([refused.exitCode, /gives no credentials/.test(refused.stderr)], [5, true], refused.stderr);
    });

    it("may have a command that gives the token", async () => {
      const status = { token: "from-a-command" };
      const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status };
      const exec = {
        apiVersion: "client.authentication.k8s.io/v1",
        command: process.execPath,
        args: ["-e", `console.log(${JSON.stringify(JSON.stringify(credential))})`],
        interactiveMode: "Never",
      };
      const file = await write("exec", cluster.kubeconfig({ exec }));
      const { exitCode, stderr } = await ask(["topology", "--kubeconfig", file]);
      assert.equal(exitCode, 0, stderr);
      assert.equal(asksFor(coordinator.asked[0]?.headers), "Bearer from-a-command");
    });
  });
});
