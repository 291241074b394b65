import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { type Ran, run } from "./support/run.ts";

const deployment = `# The ledger keeps accounts.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ledger
spec:
  template:
    metadata:
      labels:
        app: ledger # who it is
    spec:
      containers:
      - name: ledger # the application
        image: "ledger:1"
        ports: [{containerPort: 9000}]
`;
const service = `# A way to it.
apiVersion: v1
kind: Service
metadata: {name:   ledger}
`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cutline-inject-"));
});
after(() => rm(folder, { recursive: true }));

const injectText = (stdin: string, ...args: string[]): Promise<Ran> =>
  run(["inject", "-f", "-", "--image", "cutline:1", "--no-tls", ...args], { stdin });

const workload = (apiVersion: string, kind: string, spec: object) => ({
  apiVersion,
  kind,
  metadata: { name: "x" },
  spec,
});
const pod = { spec: { containers: [{ name: "a", image: "a", ports: [{ containerPort: 9000 }] }] } };

describe("cutline inject", () => {
  it("changes what it has to, and leaves comments, quotes and other documents as they are", async () => {
    const { exitCode, stdout, stderr } = await injectText(`${service}---\n${deployment}---\n${service}`);
    assert.equal(exitCode, 0, stderr);
    const [first, second, third] = stdout.split("---\n");
    assert.equal(first, service);
    assert.equal(third, service);
    const kept = deployment.trimEnd().split("\n");
    const lines = new Set(second?.split("\n"));
    assert.deepEqual(
      kept.filter((line) => !lines.has(line)),
      ["        ports: [{containerPort: 9000}]"],
    );
    const { spec } = parse(second ?? "").spec.template;
    assert.equal(spec.initContainers[0].name, "cutline-agent");
    assert.equal(spec.containers[0].env[0].value, "http://127.0.0.1:15001");
    assert.equal(stderr, "deployment/ledger: agent injected\n");
  });

  it("does nothing the second time", async () => {
    const once = await injectText(deployment);
    const twice = await injectText(once.stdout);
    assert.equal(twice.stdout, once.stdout);
    assert.match(twice.stderr, /deployment\/ledger: unchanged: the agent of revision [0-9a-f]+ is there/);
  });

  it("takes the agent away again", async () => {
    const injected = await injectText(deployment);
    const { exitCode, stdout, stderr } = await run(["inject", "-f", "-", "--remove"], { stdin: injected.stdout });
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(parse(stdout), parse(deployment));
    assert.match(stderr, /agent removed/);
  });

  it("knows every kind of workload, and Lists of them", async () => {
    const template = pod;
    const items = [
      { apiVersion: "v1", kind: "Pod", metadata: { name: "x" }, ...pod },
      ...["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"].map((kind) =>
        workload("apps/v1", kind, { template }),
      ),
      workload("batch/v1", "Job", { template }),
      workload("batch/v1", "CronJob", { jobTemplate: { spec: { template } } }),
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" }, data: { kind: "Pod" } },
    ];
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items }, null, 2);
    const { stdout, stderr } = await injectText(list);
    assert.equal(stdout.match(/name"?: "?cutline-agent\b/g)?.length, 7);
    assert.deepEqual(
      stderr
        .split("\n")
        .filter(Boolean)
        .map((line) => line.split("/")[0]),
      ["pod", "deployment", "statefulset", "daemonset", "replicaset", "job", "cronjob"],
    );
    assert.deepEqual(parse(stdout).items.at(-1), items.at(-1));
  });

  it("injects documents with aliases, without their comments", async () => {
    const stdin = deployment.replace('"ledger:1"', "&image ledger:1").concat("      - {name: b, image: *image}\n");
    const { exitCode, stdout, stderr } = await injectText(stdin);
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /document 1 uses aliases: its comments are lost/);
    const { containers } = parse(stdout).spec.template.spec;
    assert.deepEqual(
      containers.map(({ image }: { image: string }) => image),
      ["ledger:1", "ledger:1"],
    );
    assert.equal(containers[1].env[0].name, "grpc_proxy");
  });

  it("prints nothing when one workload is refused, and says which and why", async () => {
    const wrong = deployment
      .replace("  name: ledger", "  name: wrong")
      .replace("      labels:", "      annotations: {cutline.dev/captur: none}\n      labels:");
    const { exitCode, stdout, stderr } = await injectText(`${deployment}---\n${wrong}`);
    assert.equal(exitCode, 5);
    assert.equal(stdout, "");
    assert.match(stderr, /deployment\/ledger: agent injected/);
    assert.match(stderr, /deployment\/wrong: AnnotationUnknown: there is no annotation cutline.dev\/captur;/);
  });

  it("says what it leaves, and warns", async () => {
    const labels = '      labels:\n        cutline.dev/inject: "false"';
    const off = await injectText(deployment.replace("      labels:", labels));
    assert.match(off.stderr, /unchanged: the label cutline.dev\/inject is "false"/);
    const own = await injectText(
      deployment.replace("        image:", "        env: [{name: grpc_proxy, value: x}]\n        image:"),
    );
    assert.match(own.stderr, / {2}warning: container ledger sets grpc_proxy itself/);
    assert.equal((await injectText(deployment, "-q")).stderr, "");
    const none = await injectText(service);
    assert.equal(none.stdout, service);
    assert.match(none.stderr, /there is no workload/);
  });

  it("takes the policy from its options", async () => {
    const authorities = join(folder, "authorities.pem");
    const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    await writeFile(authorities, pem);
    const file = join(folder, "ledger.yaml");
    await writeFile(file, deployment);
    const args = ["--image-pull-policy", "Always", "--coordinator-namespace", "ops", "--agents-service", "agents"];
    const mode = ["--traffic", "redirect", "--outbound-ports", "9000, 50051", "--no-native-sidecars"];
    const { exitCode, stdout, stderr } = await run(
      ["inject", "-f", file, "--authorities", authorities, ...args, ...mode],
      {
        env: { CUTLINE_INJECTION_IMAGE: "cutline:7" },
      },
    );
    assert.equal(exitCode, 0, stderr);
    const { spec } = parseAllDocuments(stdout)[0]?.toJS().spec.template ?? {};
    assert.deepEqual(
      spec.containers.map(({ name }: { name: string }) => name),
      ["ledger", "cutline-agent"],
    );
    assert.deepEqual(
      spec.initContainers.map(({ name }: { name: string }) => name),
      ["cutline-redirect"],
    );
    const [, agent] = spec.containers;
    assert.equal(agent.image, "cutline:7");
    assert.equal(agent.imagePullPolicy, "Always");
    const agentValue = (wanted: string) => agent.env.find(({ name }: { name: string }) => name === wanted)?.value;
    assert.equal(agentValue("CUTLINE_COORDINATOR_ADDRESS"), "agents.ops.svc:7401");
    assert.equal(agentValue("CUTLINE_IDENTITY_AUTHORITIES"), pem);
    const ports = spec.initContainers[0].env.find(({ name }: { name: string }) => name.endsWith("OUTBOUND_PORTS"));
    assert.equal(ports.value, "9000,50051");
  });

  it("says what is missing on the command line or in the input", async () => {
    const missing = join(folder, "missing.yaml");
    const empty = join(folder, "empty.pem");
    await writeFile(empty, "");
    const cases: readonly (readonly [args: string[], exitCode: number, message: RegExp, stdin?: string])[] = [
      [["--no-tls"], 2, /give --image/],
      [["--image", "x"], 2, /give --authorities FILE, or --no-tls/],
      [["--image", "x", "--authorities", missing], 3, /there is no file/],
      [["--image", "x", "--authorities", empty], 2, /holds no certificate/],
      [["--image", "x", "--no-tls", "--outbound-ports", "9000,x"], 2, /ports from 1 to 65535/],
      [["--image", "x", "--no-tls"], 2, /document 2: /, "a: 1\n---\na: [\n"],
      [
        ["--image", "x", "--no-tls"],
        5,
        /deployment\/x: PodInvalid/,
        JSON.stringify(workload("apps/v1", "Deployment", {})),
      ],
    ];
    for (const [args, exitCode, message, stdin = deployment] of cases) {
      const ran = await run(["inject", "-f", "-", ...args], { stdin });
      assert.equal(ran.exitCode, exitCode, ran.stderr);
      assert.match(ran.stderr, message);
      assert.equal(ran.stdout, "");
    }
    assert.equal((await run(["inject", "-f", missing, "--image", "x", "--no-tls"])).exitCode, 3);
  });
});
