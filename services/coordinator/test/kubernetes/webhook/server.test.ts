import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { sendSlowly, slowBeginnings } from "../../support/slow-sender.ts";
import { type Answered, ask, type Hook, type HookOptions, openHook, policy } from "./hook.ts";

const hooks: Hook[] = [];

afterEach(async () => {
  await Promise.all(hooks.splice(0).map((hook) => hook.close()));
});

async function open(options?: HookOptions): Promise<Hook> {
  const hook = await openHook(options);
  hooks.push(hook);
  return hook;
}

const pod = {
  metadata: { generateName: "ledger-", labels: { "cutline.dev/inject": "true" } },
  spec: {
    containers: [
      {
        name: "ledger",
        image: "ledger:1",
        ports: [{ containerPort: 9000 }],
        env: [{ name: "PASSWORD", value: "secret-7" }],
      },
    ],
  },
};

function review(object: unknown, over: object = {}) {
  const kind = { group: "", version: "v1", kind: "Pod" };
  const request = { uid: "u-1", kind, operation: "CREATE", namespace: "bank", object, ...over };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
}

const responseOf = ({ status, body }: Answered) => {
  assert.equal(status, 200, body);
  return JSON.parse(body).response;
};

/** A review that has begun to come. */
async function begin({ url, certificate }: Hook, length: string): Promise<TLSSocket> {
  const socket = connect({ port: Number(new URL(url).port), servername: "localhost", ca: certificate.authority });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  socket.write(`POST /inject HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${length}\r\n\r\n`);
  return socket;
}

/** Asks until it holds; a test that waits in vain ends by its own limit. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await setImmediate();
}

describe("the webhook", () => {
  it("answers with a patch, and says what it did for the audit", async () => {
    const hook = await open();
    const response = responseOf(await ask(hook, "/inject", review(pod)));
    assert.equal(response.uid, "u-1");
    assert.equal(response.allowed, true);
    assert.equal(response.patchType, "JSONPatch");
    const operations = JSON.parse(Buffer.from(response.patch, "base64").toString("utf8"));
    assert.ok(operations.some(({ path }: { path: string }) => path === "/spec/initContainers"));
    assert.equal(response.auditAnnotations.outcome, "injected");
    assert.match(response.auditAnnotations.revision, /^[0-9a-f]{16}$/);
    assert.match(await hook.metrics.render(), /cutline_webhook_reviews_total\{outcome="injected",code=""\} 1/);
  });

  it("warns of what the user has set and it leaves", async () => {
    const own = structuredClone(pod);
    own.spec.containers[0]?.env.push({ name: "grpc_proxy", value: "http://corporate:3128" });
    const response = responseOf(await ask(await open(), "/inject", review(own)));
    assert.match(response.warnings.join(), /ledger sets grpc_proxy itself/);
  });

  it("refuses with the reason", async () => {
    const wrong = { ...pod, metadata: { ...pod.metadata, annotations: { "cutline.dev/trafic": "env" } } };
    const hook = await open();
    const response = responseOf(await ask(hook, "/inject", review(wrong)));
    assert.equal(response.allowed, false);
    assert.equal(response.patch, undefined);
    assert.equal(response.status.code, 422);
    assert.match(response.status.message, /^AnnotationUnknown: there is no annotation cutline.dev\/trafic;/);
    assert.deepEqual(response.auditAnnotations, { outcome: "refused", reason: "AnnotationUnknown" });
    assert.match(await hook.metrics.render(), /reviews_total\{outcome="refused",code="AnnotationUnknown"\} 1/);
  });

  it("lets pass what is no new pod", async () => {
    const hook = await open();
    const others = [
      { operation: "UPDATE" },
      { subResource: "ephemeralcontainers" },
      { kind: { group: "apps", version: "v1", kind: "Deployment" } },
      { object: null },
    ];
    for (const over of others) {
      const response = responseOf(await ask(hook, "/inject", review(pod, over)));
      assert.deepEqual(response, { uid: "u-1", allowed: true }, JSON.stringify(over));
    }
  });

  it("leaves alone what is to be left alone, and says why", async () => {
    const response = responseOf(await ask(await open(), "/inject", review(pod, { namespace: "kube-system" })));
    assert.deepEqual(response, {
      uid: "u-1",
      allowed: true,
      auditAnnotations: { outcome: "skipped", reason: "SystemNamespace" },
    });
  });

  it("refuses bodies that are no reviews, and goes on", async () => {
    const hook = await open({ limits: { bodyBytesMax: 4_096 } });
    assert.equal((await ask(hook, "/inject", "{")).status, 400);
    assert.equal(
      (await ask(hook, "/inject", { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1beta1" })).status,
      400,
    );
    assert.equal((await ask(hook, "/inject", { ...review(pod), request: {} })).status, 400);
    assert.equal((await ask(hook, "/inject", review({ ...pod, filler: "x".repeat(5_000) }))).status, 413);
    assert.equal((await ask(hook, "/elsewhere", {})).status, 404);
    assert.equal((await ask(hook, "/livez")).status, 200);
    assert.match(await hook.metrics.render(), /reviews_total\{outcome="invalid",code="ReviewInvalid"\} 2/);
  });

  it("fails while it does not know what to put in, so that the failure policy decides", async () => {
    const hook = await open({ policy: () => Promise.reject(new Error("the authority is not known yet")) });
    const answered = await ask(hook, "/inject", review(pod));
    assert.equal(answered.status, 500);
    assert.match(answered.body, /not known yet/);
    assert.match(await hook.metrics.render(), /reviews_total\{outcome="failed",code="ReviewFailed"\} 1/);
  });

  it("logs what came of a pod, and nothing that stands in it", async () => {
    const hook = await open();
    await ask(hook, "/inject", review(pod, { dryRun: true }));
    const line = hook.lines.find(({ message }) => message === "pod reviewed");
    assert.deepEqual(line?.fields, {
      namespace: "bank",
      pod: "ledger-",
      outcome: "patch",
      code: "",
      reason: undefined,
      dryRun: true,
    });
    assert.ok(!JSON.stringify(hook.lines).includes("secret-7"));
  });

  it("shows a new certificate from the next connection on", async () => {
    const hook = await open();
    const before = hook.certificate.authority;
    assert.equal((await ask(hook, "/livez")).status, 200);
    hook.certificate.replace();
    assert.equal((await ask(hook, "/livez")).status, 200);
    await assert.rejects(ask(hook, "/livez", undefined, before), { code: /SIGNATURE|UNABLE_TO_VERIFY|CERT/ });
  });

  for (const [what, text] of Object.entries(slowBeginnings)) {
    it(`lets nobody hold a connection who sends ${what}`, { timeout: 15_000 }, async () => {
      const hook = await open({ limits: { requestTimeoutMs: 300 } });
      await sendSlowly(Number(new URL(hook.url).port), "/inject", text);
    });
  }

  it("reads no more bodies at a time than it may hold, and goes on when they are through", {
    timeout: 20_000,
  }, async () => {
    const hook = await open({ limits: { bodyBytesMax: 4_096, bodiesBytesMax: 8_192 } });
    const asked = async () => (await ask(hook, "/inject", review(pod))).status;
    const slow = await Promise.all([begin(hook, "content-length: 4096"), begin(hook, "transfer-encoding: chunked")]);
    await until(async () => (await asked()) === 503);
    assert.match(await hook.metrics.render(), /reviews_total\{outcome="failed",code="TooManyReviews"\} [1-9]/);
    assert.equal((await ask(hook, "/livez")).status, 200);
    for (const socket of slow) socket.destroy();
    await until(async () => (await asked()) === 200);
  });

  it("logs no more of a name than a name can have", async () => {
    const hook = await open();
    const long = "x".repeat(100_000);
    await ask(hook, "/inject", review({ ...pod, metadata: { ...pod.metadata, name: long } }, { namespace: long }));
    assert.ok(JSON.stringify(hook.lines).length < 2_000);
  });

  it("takes what the policy says now, not what it said at the start", async () => {
    let image = "cutline:1";
    const hook = await open({ policy: async () => ({ ...policy, image }) });
    const imageOf = async () => {
      const { patch } = responseOf(await ask(hook, "/inject", review(pod)));
      return /cutline:\d/.exec(Buffer.from(patch, "base64").toString("utf8"))?.[0];
    };
    assert.equal(await imageOf(), "cutline:1");
    image = "cutline:2";
    assert.equal(await imageOf(), "cutline:2");
  });
});
