import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { reservePort, type System, startSystem, until } from "../../../src/index.ts";
import { assertHarmless, exactProcesses, takeAudited } from "../../support.ts";

const run = promisify(execFile);
const namespace = `cutline-test-${randomBytes(4).toString("hex")}`;
const names = ["east", "west"];
/** A whole rotation in 80 s. */
const lives = {
  CUTLINE_IDENTITY_CERTIFICATE_LIFE_MS: "12000",
  CUTLINE_IDENTITY_AUTHORITY_LIFE_MS: "80000",
  CUTLINE_IDENTITY_OVERLAP_MS: "0",
  CUTLINE_IDENTITY_REREAD_MS: "300",
  CUTLINE_IDENTITY_CLOCK_SKEW_MS: "500",
};

async function kubectl(args: readonly string[], input?: string): Promise<string> {
  assert.ok(process.env.KUBECONFIG, "these tests want a Kubernetes API: make test-kubernetes, or KUBECONFIG");
  const child = run("kubectl", ["-n", namespace, ...args], { timeout: 30_000 });
  child.child.stdin?.end(input ?? "");
  return (await child).stdout;
}

async function bundle(): Promise<string> {
  const text = await kubectl(["get", "secret", "cutline-authority", "-o", "jsonpath={.data.ca\\.crt}"]);
  return Buffer.from(text, "base64").toString();
}

/** The token that the kubelet would put into the pod. */
async function podToken(name: string): Promise<string> {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "a", image: "none" }] },
  };
  await kubectl(["create", "-f", "-"], JSON.stringify(pod));
  const uid = await kubectl(["get", "pod", name, "-o", "jsonpath={.metadata.uid}"]);
  const boundObjectRef = { apiVersion: "v1", kind: "Pod", name, uid };
  const request = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { audiences: ["cutline"], expirationSeconds: 3_600, boundObjectRef },
  };
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`;
  return JSON.parse(await kubectl(["create", "--raw", path, "-f", "-"], JSON.stringify(request))).status.token;
}

describe("a whole system whose certificates come from the tokens of its pods", () => {
  let folder: string;
  let system: System;
  let first: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-identity-"));
    await kubectl(["create", "namespace", namespace]);
    await kubectl(["create", "secret", "generic", "cutline-authority"]);
    await until("the service account", async () => {
      const found = await kubectl(["get", "serviceaccounts", "--ignore-not-found", "default", "-o", "name"]);
      return found === "" ? undefined : found;
    });
    const identityPort = await reservePort();
    const coordinatorEnvironment = {
      CUTLINE_IDENTITY: "true",
      CUTLINE_IDENTITY_PORT: String(identityPort),
      CUTLINE_IDENTITY_SECRET_NAMESPACE: namespace,
      CUTLINE_KUBERNETES_KUBECONFIG: process.env.KUBECONFIG ?? "",
      ...lives,
    };
    // The first coordinator ever fills the Secret; what it says of authorities, the webhook gives to pods.
    const empty = await startSystem({ coordinatorEnvironment, branches: [] });
    await empty.stop();
    first = await bundle();
    assert.equal(first.match(/BEGIN CERTIFICATE/g)?.length, 1);
    const branches = await Promise.all(
      names.map(async (name) => {
        const own = join(folder, name);
        await mkdir(own);
        await writeFile(join(own, "token"), await podToken(name));
        const agentEnvironment = {
          CUTLINE_IDENTITY_URL: `https://127.0.0.1:${identityPort}`,
          CUTLINE_IDENTITY_TOKEN_FILE: join(own, "token"),
          CUTLINE_IDENTITY_FOLDER: own,
          CUTLINE_IDENTITY_AUTHORITIES: first,
        };
        return { name, namespace, agentEnvironment };
      }),
    );
    system = await startSystem({ coordinatorEnvironment, branches });
  });
  after(async () => {
    const ends = Object.entries((await system?.stop()) ?? {});
    await kubectl(["delete", "namespace", namespace, "--wait=false"]);
    await rm(folder, { recursive: true, force: true });
    assert.deepEqual(
      ends.filter(([, how]) => how !== "exit code 0"),
      [],
    );
  });

  const logs = ["coordinator.log", ...names.map((name) => `agent-${name}.log`)];
  const logOf = (file: string) => readFile(join(system.folder, file), "utf8");

  it("every agent has its own name, in files that nobody else reads, and links are mutual TLS", async () => {
    for (const name of names) {
      const log = await logOf(`agent-${name}.log`);
      assert.match(
        log,
        new RegExp(`"identity":"spiffe://cutline/process/${namespace}/${name}".*"certificate obtained"`),
      );
      assert.match(log, /"tls":"mutual"/);
      const { mode } = await stat(join(folder, name, "key.pem"));
      assert.equal(mode & 0o777, 0o600);
    }
    const taken = await takeAudited(system, 3);
    assert.deepEqual(
      exactProcesses(taken),
      names.map((name) => `${namespace}/${name}`),
    );
  });

  it("changes its authority while money moves: no call fails, every snapshot completes, nobody is refused", async () => {
    const seen = new Set<number>();
    await until(
      "the end of the first authority",
      async () => {
        const now = await bundle();
        seen.add(now.match(/BEGIN CERTIFICATE/g)?.length ?? 0);
        if (!now.includes(first)) return "gone";
        assert.equal((await takeAudited(system, 3)).snapshot.exact, true);
        return undefined;
      },
      { timeoutMs: 100_000, everyMs: 500 },
    );
    assert.ok(seen.has(2), "the old one and the new one were believed together");
    await assertHarmless(system);
    for (const file of logs) {
      const refusals = (await logOf(file)).split("\n").filter((line) => /was refused|refused this program/.test(line));
      assert.deepEqual(refusals, [], file);
    }
    for (const name of names) {
      // With its next certificate.
      await until(`${name} that believes the first authority no more`, async () => {
        const held = await readFile(join(folder, name, "authorities.pem"), "utf8");
        return held.includes(first) ? undefined : "so it is";
      });
    }
  });

  it("attaches anew with certificates of the next authority on both sides", async () => {
    await system.coordinator.restart();
    await system.ready();
    assert.equal((await takeAudited(system, 3)).snapshot.exact, true);
    await assertHarmless(system);
  });

  it("no log has a token or a key", async () => {
    for (const file of logs) {
      const log = await logOf(file);
      assert.doesNotMatch(log, /PRIVATE KEY/);
      for (const name of names) assert.ok(!log.includes((await readFile(join(folder, name, "token"), "utf8")).trim()));
    }
  });
});
