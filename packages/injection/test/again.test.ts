import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { inject, remove } from "../src/inject.ts";
import { canonical, type Json, type JsonObject } from "../src/json.ts";
import { diff } from "../src/json-patch.ts";
import type { InjectionPolicy } from "../src/policy.ts";
import { applyPatch } from "./support/apply-patch.ts";
import { injectedOf } from "./support/injected.ts";
import { podOf, policy } from "./support/pods.ts";

const runs = { numRuns: 500 };
const plain = { noNullPrototype: true };

const name = fc.constantFrom("a", "b", "c", "grpc_proxy", "no_grpc_proxy", "HTTPS_PROXY", "cutline-tmp", "x~/y");
const env = fc.uniqueArray(fc.record({ name, value: fc.string({ maxLength: 5 }) }, plain), {
  selector: (variable) => variable.name,
  maxLength: 4,
});
const port = fc.constantFrom<number | string>(9000, "grpc", 8080);
const probe = fc.record({ tcpSocket: fc.record({ port }, plain) }, plain);
const container = (fixed: string) =>
  fc.record(
    {
      name: fc.constant(fixed),
      image: fc.constant("i"),
      ports: fc.constant([{ name: "grpc", containerPort: 9000 }]),
      env,
      readinessProbe: probe,
      volumeMounts: fc.constant([{ name: "data", mountPath: "/data" }]),
    },
    { noNullPrototype: true, requiredKeys: ["name", "image", "ports"] },
  );
const pods = fc.record({
  metadata: fc.record(
    {
      labels: fc.dictionary(fc.constantFrom("app", "tier", "pod-template-hash"), fc.constantFrom("x", "y"), plain),
      annotations: fc.record(
        {
          "cutline.dev/traffic": fc.constantFrom("env", "redirect"),
          "cutline.dev/capture": fc.constantFrom("none", "participant", "file:///data/x"),
          "cutline.dev/outbound-ports": fc.constantFrom("9000", ""),
          "cutline.dev/clients": fc.constantFrom("go", "java,go"),
          other: fc.string(),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
  spec: fc.record(
    {
      containers: fc.tuple(container("one"), container("two")).map(([one, two]) => [one, two]),
      initContainers: fc.uniqueArray(container("first"), { maxLength: 1 }),
      volumes: fc.constantFrom([], [{ name: "data", emptyDir: {} }]),
      terminationGracePeriodSeconds: fc.nat(60),
    },
    { noNullPrototype: true, requiredKeys: ["containers"] },
  ),
}) as unknown as fc.Arbitrary<JsonObject>;
const policies = fc
  .record({ nativeSidecars: fc.boolean(), traffic: fc.constantFrom("env", "redirect") })
  .map((changes): InjectionPolicy => ({ ...policy, ...changes }) as InjectionPolicy);

function patched(pod: Json, by: InjectionPolicy): Json {
  const outcome = inject({ pod, namespace: "bank", policy: by });
  return outcome.outcome === "patch" ? applyPatch(pod, outcome.operations) : pod;
}

describe("injecting again", () => {
  it("changes nothing, whatever the pod", () => {
    let [injected, refused] = [0, 0];
    fc.assert(
      fc.property(pods, policies, (pod, by) => {
        const first = inject({ pod, namespace: "bank", policy: by });
        if (first.outcome === "refused") {
          refused += 1;
          return;
        }
        injected += 1;
        const once = patched(pod, by);
        assert.notDeepEqual(once, pod);
        const again = inject({ pod: once, namespace: "bank", policy: by });
        assert.equal(again.outcome, "skipped", JSON.stringify(again));
        assert.deepEqual(again.outcome === "skipped" && again.reason, "AlreadyInjected");
        assert.deepEqual(again.outcome === "skipped" && again.warnings, first.outcome === "patch" && first.warnings);
      }),
      runs,
    );
    assert.ok(injected > refused, `${injected} were injected, ${refused} refused`);
  });

  it("under another policy gives what that policy gives to a fresh pod", () => {
    fc.assert(
      fc.property(pods, policies, policies, (pod, before, now) => {
        const newer = { ...now, version: "2.0.0", image: "cutline:2", noProxy: ["x"] };
        const fresh = inject({ pod, namespace: "bank", policy: newer });
        if (fresh.outcome === "refused") return;
        assert.deepEqual(normal(patched(patched(pod, before), newer)), normal(patched(pod, newer)));
      }),
      runs,
    );
  });

  it("is undone by removing", () => {
    fc.assert(
      fc.property(pods, policies, (pod, by) => {
        const once = patched(pod, by);
        if (once === pod) return;
        const outcome = remove(once);
        assert.equal(outcome.outcome, "patch");
        const bare = outcome.outcome === "patch" && applyPatch(once, outcome.operations);
        assert.deepEqual(normal(bare), normal(pod));
      }),
      runs,
    );
  });

  it("leaves what others have done to the agent since", () => {
    const { pod } = injectedOf(podOf());
    const spec = pod.spec as JsonObject;
    const [agent] = spec.initContainers as JsonObject[];
    const limited = { ...agent, terminationMessagePath: "/dev/termination-log", resources: { limits: { cpu: "1" } } };
    const changed = { ...pod, spec: { ...spec, initContainers: [limited] } };
    assert.equal(inject({ pod: changed, namespace: "bank", policy }).outcome, "skipped");
  });

  it("changes nothing when a server has put keys in another order", () => {
    const mounts = { volumeMounts: [{ name: "data", mountPath: "/data" }] };
    const annotations = { "cutline.dev/capture": "file:///data/x" };
    const { pod } = injectedOf(podOf({ container: mounts, annotations }));
    const reordered = JSON.parse(canonical(pod));
    assert.notEqual(JSON.stringify(reordered), JSON.stringify(pod));
    assert.equal(inject({ pod: reordered, namespace: "bank", policy }).outcome, "skipped");
  });

  it("equips a container that another webhook has added since", () => {
    const { pod } = injectedOf(podOf());
    const spec = pod.spec as JsonObject;
    const containers = [...(spec.containers as JsonObject[]), { name: "vault", image: "v" }];
    const outcome = inject({ pod: { ...pod, spec: { ...spec, containers } }, namespace: "bank", policy });
    assert.ok(outcome.outcome === "patch");
    assert.deepEqual(
      outcome.operations.map(({ op, path }) => `${op} ${path}`),
      ["replace /metadata/annotations/cutline.dev~1injected", "add /spec/containers/1/env"],
    );
  });

  it("puts the agent back where only its annotation is left", () => {
    const { annotations, pod } = injectedOf(podOf());
    const copied = podOf({ annotations: { ...annotations } });
    assert.deepEqual(injectedOf(copied).pod, pod);
  });
});

describe("a patch", () => {
  it("makes one document of another, and is empty for equal ones", () => {
    const scalar = fc.oneof(fc.integer(), fc.string({ maxLength: 3 }), fc.boolean(), fc.constant(null));
    const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        scalar,
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.uniqueArray(fc.record({ name: fc.constantFrom("a", "b", "c", "d"), value: tie("tree") }, plain), {
          selector: (item) => item.name,
        }) as fc.Arbitrary<Json>,
        fc.dictionary(fc.constantFrom("a", "b/c", "d~e"), tie("tree"), plain) as fc.Arbitrary<Json>,
      ),
    }));
    fc.assert(
      fc.property(tree, tree, (from, to) => {
        assert.deepEqual(applyPatch(from, diff(from, to)), to);
        assert.deepEqual(diff(from, structuredClone(from)), []);
      }),
      { numRuns: 2_000 },
    );
  });
});

/** An injected pod has its probes by number, and no empty lists that were not there. */
function normal(pod: Json | false): Json {
  const text = JSON.stringify(pod)
    .replaceAll('"port":"grpc"', '"port":9000')
    .replaceAll('"annotations":{},', "")
    .replaceAll(/,?"(annotations|env|volumes|initContainers)":(\{\}|\[\])/g, "")
    .replaceAll(/\{,/g, "{");
  return JSON.parse(text);
}
