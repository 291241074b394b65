import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type InjectionPolicy, knowsNativeSidecars } from "@cutline/injection";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { clientOf, kubectl, TestNamespace, until } from "../support/cluster.ts";
import { type Hook, openHook, policy } from "../webhook/hook.ts";

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name: string }[];
}

interface StoredPod {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes: readonly { readonly name: string }[];
  };
}

const registrations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/** The API server calls this program's own webhook for pods of one namespace. */
describe("the webhook, called by a real API server", () => {
  let namespace: TestNamespace;
  let client: KubeClient;
  let hook: Hook;
  /** As the cluster's own version has it; an old API server refuses probes of init containers. */
  let usual: InjectionPolicy;
  let current: InjectionPolicy;

  const register = async (name: string, url: string, caBundle: string, over: object = {}) => {
    const webhook = {
      name: `${name}.cutline.dev`,
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      clientConfig: { url, caBundle: Buffer.from(caBundle).toString("base64") },
      rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
      failurePolicy: "Fail",
      reinvocationPolicy: "IfNeeded",
      timeoutSeconds: 10,
      namespaceSelector: { matchLabels: { "cutline.dev/test": namespace.name } },
      objectSelector: { matchLabels: { "cutline.dev/inject": "true" } },
      ...over,
    };
    const metadata = { name: `${name}-${namespace.name}` };
    const path = `${registrations}/${metadata.name}`;
    const body = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata,
      webhooks: [webhook],
    };
    await client.send({ method: "POST", path: registrations, body });
    return path;
  };

  const podOf = (
    name: string,
    over: { annotations?: object; labels?: object; container?: object; spec?: object } = {},
  ) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: { app: "ledger", "cutline.dev/inject": "true", ...over.labels },
      annotations: over.annotations ?? {},
    },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        { name: "ledger", image: "ledger:1", ports: [{ name: "grpc", containerPort: 9000 }], ...over.container },
      ],
      ...over.spec,
    },
  });

  /** As a user does it; what kubectl says, warnings and refusals too, is in the error or the answer. */
  const create = (pod: object, ...args: string[]) =>
    kubectl(["-n", namespace.name, "create", "-f", "-", "-o", "json", ...args], JSON.stringify(pod)).then(
      (text): StoredPod => JSON.parse(text),
    );

  const allOf = ({ spec }: StoredPod) => [...(spec.initContainers ?? []), ...spec.containers];
  const agentsOf = (pod: StoredPod) => allOf(pod).filter(({ name }) => name.startsWith("cutline-"));
  const applicationsOf = ({ spec }: StoredPod) => spec.containers.filter(({ name }) => name !== "cutline-agent");

  before(async () => {
    client = await clientOf();
    const version = await client.send<{ major: string; minor: string }>({ method: "GET", path: "/version" });
    usual = { ...policy, nativeSidecars: knowsNativeSidecars(version) };
    current = usual;
    namespace = await TestNamespace.open();
    const path = `/api/v1/namespaces/${namespace.name}`;
    const labels = { "cutline.dev/test": namespace.name };
    await client.send({ method: "PATCH", path, body: { metadata: { labels } } });
    hook = await openHook({ policy: async () => current });
    await register("inject", `${hook.url}/inject`, hook.certificate.authority);
    // The API server knows of a new webhook a moment later.
    await until("the webhook to be called; the API server must reach this program as localhost", async () => {
      const made = await create(podOf("probe"), "--dry-run=server").catch(() => undefined);
      return made?.metadata.annotations?.["cutline.dev/injected"] !== undefined;
    });
  });

  after(async () => {
    for (const name of ["inject", "other", "away"]) {
      await client.send({ method: "DELETE", path: `${registrations}/${name}-${namespace.name}` }).catch((error) => {
        if (error.code !== "KubeNotFound") throw error;
      });
    }
    await hook.close();

    await namespace.close();
    client.close();
  });

  it("puts an agent into a pod that the API server accepts", async () => {
    const made = await create(podOf("ledger"));
    assert.deepEqual(
      agentsOf(made).map(({ name }) => name),
      ["cutline-agent"],
    );
    const stored = JSON.parse(await namespace.kubectl("get", "pod", "ledger", "-o", "json")) as StoredPod;
    const [agent] = agentsOf(stored);
    const id = agent?.env?.find(({ name }) => name === "CUTLINE_PROCESS_ID")?.value;
    assert.equal(id, "$(POD_NAMESPACE)/$(POD_NAME)");
    assert.deepEqual(
      stored.spec.volumes.map(({ name }) => name).filter((name) => name.startsWith("cutline-")),
      ["cutline-tmp", "cutline-identity", "cutline-token"],
    );
    const application = stored.spec.containers[0];
    assert.equal(application?.env?.find(({ name }) => name === "grpc_proxy")?.value, "http://127.0.0.1:15001");
  });

  it("puts it among the containers where sidecars are not native, with the redirecting step before", async () => {
    current = { ...policy, nativeSidecars: false };
    try {
      const annotations = { "cutline.dev/traffic": "redirect", "cutline.dev/outbound-ports": "9000" };
      const container = { readinessProbe: { tcpSocket: { port: "grpc" } } };
      const made = await create(podOf("ordinary", { annotations, container }));
      assert.deepEqual(
        (made.spec.initContainers ?? []).map(({ name }) => name),
        ["cutline-redirect"],
      );
      assert.deepEqual(
        made.spec.containers.map(({ name }) => name),
        ["ledger", "cutline-agent"],
      );
      assert.deepEqual(
        (made.spec.containers[0] as { readinessProbe?: { tcpSocket: object } }).readinessProbe?.tcpSocket,
        { port: 15_021 },
      );
    } finally {
      current = usual;
    }
  });

  it("does the same in a dry run, and nothing is made", async () => {
    const made = await create(podOf("dry"), "--dry-run=server");
    assert.deepEqual(
      agentsOf(made).map(({ name }) => name),
      ["cutline-agent"],
    );
    await assert.rejects(namespace.kubectl("get", "pod", "dry"), /NotFound/);
    assert.ok(hook.lines.some(({ fields }) => fields.pod === "dry" && fields.dryRun === true));
  });

  it("denies with its own words", async () => {
    await assert.rejects(
      create(podOf("wrong", { annotations: { "cutline.dev/capture": "redis://x" } })),
      (error: Error) => {
        assert.match(
          error.message,
          /admission webhook "inject.cutline.dev" denied the request: AnnotationInvalid: cutline.dev\/capture is/,
        );
        return true;
      },
    );
    await assert.rejects(
      create(podOf("host", { spec: { hostNetwork: true } })),
      /HostNetwork: the pod has hostNetwork: true/,
    );
  });

  it("leaves what the user has set", async () => {
    const env = [{ name: "grpc_proxy", value: "http://corporate:3128" }];
    const response = await client.send<StoredPod>({
      method: "POST",
      path: `/api/v1/namespaces/${namespace.name}/pods`,
      body: podOf("own-proxy", { container: { env } }),
    });
    assert.deepEqual(
      response.spec.containers[0]?.env?.map(({ name, value }) => `${name}=${value}`),
      ["grpc_proxy=http://corporate:3128", "no_grpc_proxy=localhost,127.0.0.1"],
    );
  });

  it("injects the pods of a Deployment, whose template stays as it was", async () => {
    const { metadata, spec } = podOf("unused");
    const deployment = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "teller" },
      spec: {
        selector: { matchLabels: { app: "teller" } },
        template: { metadata: { labels: { ...metadata.labels, app: "teller" } }, spec },
      },
    };
    await kubectl(["-n", namespace.name, "apply", "-f", "-"], JSON.stringify(deployment));
    let pods: StoredPod[] = [];
    await until("the Deployment's pod", async () => {
      pods = JSON.parse(await namespace.kubectl("get", "pods", "-l", "app=teller", "-o", "json")).items;
      return pods.length === 1;
    });
    assert.deepEqual(
      agentsOf(pods[0] as StoredPod).map(({ name }) => name),
      ["cutline-agent"],
    );
    assert.doesNotMatch(await namespace.kubectl("get", "deployment", "teller", "-o", "yaml"), /cutline-agent/);
  });

  it("is asked again when another webhook changes the pod, and equips what that has added", async () => {
    const { createServer } = await import("node:https");
    const { cert, key } = hook.certificate.current();
    let calls = 0;
    const sidecar = createServer({ cert, key }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        calls += 1;
        const { uid, object } = JSON.parse(Buffer.concat(chunks).toString("utf8")).request;
        const isThere = object.spec.containers.some(({ name }: Container) => name === "vault");
        const operations = isThere
          ? []
          : [{ op: "add", path: "/spec/containers/-", value: { name: "vault", image: "vault:1" } }];
        const patch = Buffer.from(JSON.stringify(operations)).toString("base64");
        const answer = { uid, allowed: true, patchType: "JSONPatch", patch };
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: answer }));
      });
    });
    await new Promise<void>((resolve) => sidecar.listen(0, "127.0.0.1", resolve));
    const { port } = sidecar.address() as { port: number };
    // Webhooks are called in the order of their configurations' names: this one after ours.
    const path = await register("other", `https://localhost:${port}/`, hook.certificate.authority);
    try {
      let made: StoredPod | undefined;
      await until("the other webhook to be called", async () => {
        made = await create(podOf("twice"), "--dry-run=server");
        return applicationsOf(made).length === 2;
      });
      const reviewsOf = (name: string) =>
        hook.lines.filter(({ fields }) => fields.pod === name).map(({ fields }) => fields.outcome);
      const stored = await create(podOf("again"));
      assert.deepEqual(reviewsOf("again"), ["patch", "patch"], "asked twice");
      assert.deepEqual(
        agentsOf(stored).map(({ name }) => name),
        ["cutline-agent"],
        "and injected once",
      );
      assert.deepEqual(
        applicationsOf(stored).map(({ name }) => name),
        ["ledger", "vault"],
      );
      for (const { name, env } of applicationsOf(stored)) {
        assert.equal(env?.filter((variable) => variable.name === "grpc_proxy").length, 1, name);
      }
      assert.ok(calls >= 2);
    } finally {
      await client.send({ method: "DELETE", path });
      sidecar.close();
      sidecar.closeAllConnections();
    }
  });

  it("stops pods that ask for an agent while it is away, when the failure policy is Fail, and no others", async () => {
    // Nobody listens there.
    const path = await register("away", "https://localhost:1/", hook.certificate.authority);
    try {
      await until("the webhook that is away to be called", async () =>
        create(podOf("stopped"), "--dry-run=server").then(
          () => false,
          (error: Error) => /failed calling webhook "away.cutline.dev"/.test(error.message),
        ),
      );
      const other = await create(podOf("bystander", { labels: { "cutline.dev/inject": "false" } }));
      assert.deepEqual(agentsOf(other), []);
    } finally {
      await client.send({ method: "DELETE", path });
    }
  });
});
