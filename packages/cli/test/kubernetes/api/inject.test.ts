import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, it } from "node:test";
import { promisify } from "node:util";
import { run } from "../../support/run.ts";

const execute = promisify(execFile);
const timeoutMs = 60_000;
const namespace = `cutline-inject-${process.pid}`;

/** What kubectl says on standard error is in the error. */
async function kubectl(args: readonly string[], input = ""): Promise<string> {
  const file = process.env.KUBECONFIG;
  if (!file)
    throw new Error("these tests want a Kubernetes API: run them with `make test-kubernetes`, or set KUBECONFIG");
  const child = execute("kubectl", ["--kubeconfig", file, ...args], { timeout: timeoutMs });
  child.child.stdin?.end(input);
  return (await child).stdout;
}

before(async () => {
  await kubectl(["create", "namespace", namespace]);
});
after(async () => {
  await kubectl(["delete", "namespace", namespace, "--wait=false"]);
});

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger}
spec:
  selector: {matchLabels: {app: ledger}}
  template:
    metadata:
      labels: {app: ledger}
      annotations:
        cutline.dev/capture: file:///data/state.json
        cutline.dev/clients: go,java
    spec:
      containers:
        - name: ledger
          image: ledger:1
          ports: [{containerPort: 9000}]
          readinessProbe: {tcpSocket: {port: 9000}}
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}]
`;

for (const traffic of ["env", "redirect"]) {
  it(`what cutline inject writes has no field that a real API server does not know: ${traffic}`, async () => {
    const flags = [
      "--image",
      "cutline:1",
      "--no-tls",
      "--no-native-sidecars",
      "--traffic",
      traffic,
      "--outbound-ports",
      "9000",
    ];
    const injected = await run(["inject", "-f", "-", ...flags], { stdin: deployment });
    assert.equal(injected.exitCode, 0, injected.stderr);
    // kubectl compares with the server's schemas.
    await kubectl(["-n", namespace, "apply", "--validate=true", "-f", "-"], injected.stdout);
    const text = await kubectl(["-n", namespace, "get", "deployment", "ledger", "-o", "json"]);
    const { containers } = JSON.parse(text).spec.template.spec;
    assert.deepEqual(
      containers.map(({ name }: { name: string }) => name),
      ["ledger", "cutline-agent"],
    );
    const again = await run(["inject", "-f", "-", ...flags], { stdin: text });
    assert.match(again.stderr, /unchanged: the agent of revision/, "not even with the server's defaults in it");
    const wrong = injected.stdout.replace("failureThreshold", "failuresMax");
    await assert.rejects(kubectl(["-n", namespace, "apply", "--validate=true", "-f", "-"], wrong), /failuresMax/);
  });
}
