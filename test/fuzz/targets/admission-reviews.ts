import assert from "node:assert/strict";
import {
  defaultPolicy,
  type InjectionPolicy,
  inject,
  isObject,
  type Json,
} from "../../../packages/injection/src/index.ts";
import { applyPatch } from "../../../packages/injection/test/support/apply-patch.ts";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { answerOf, readReview } from "../../../services/coordinator/src/kubernetes/webhook/review.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

const policy: InjectionPolicy = {
  ...defaultPolicy,
  version: "1.2.3",
  image: "registry.example/cutline:1.2.3",
  meshAuthorities: "PEM",
};

const names = ["ledger", "cutline-agent", "cutline-redirect", "cutline-tmp", "constructor", "tostring", "a/b~c", ""];
const annotations: Readonly<Record<string, readonly string[]>> = {
  capture: [
    "none",
    "participant",
    "http://127.0.0.1:1/$(X)",
    "file:///data/x",
    "file:///data/%",
    "file:///../%2e%2e/x",
  ],
  "application-port": ["9000", "grpc", "0", "15006"],
  container: ["ledger", "constructor", "cutline-agent"],
  traffic: ["env", "redirect"],
  "outbound-ports": ["", "9000,9001", "70000"],
  clients: ["go,java", "c"],
  "no-proxy": ["$(X),a", "*"],
  authorities: ["a:1", "[::1]:1"],
  "agent-cpu-limit": ["1", "-1"],
  unknown: ["x"],
};
const scalars = [null, true, 0, -1, 1e300, 15_021, "", "x", "9000", "grpc", [], {}];

function maybe<Value>(random: Random, value: () => Value): Value | Json {
  return random.happens(0.04) ? (random.pick(scalars) ?? null) : value();
}

function listOf(random: Random, most: number, item: () => Json): Json {
  return maybe(random, () => Array.from({ length: random.below(most + 1) }, item)) as Json;
}

/** `among`: names that containers of the other list do not have; no pod has one twice. */
function containerOf(random: Random, among: readonly string[]): Json {
  const port = () => ({ name: "grpc", containerPort: random.pick([9000, 8080, 15_006, 15_021]) ?? 1, protocol: "TCP" });
  const target = () => ({ port: random.pick([9000, "grpc", 15_021]) ?? 1 });
  return maybe(random, () => ({
    name: random.pick(among) ?? "a",
    ports: listOf(random, 2, () => maybe(random, port) as Json),
    env: listOf(random, 3, () => ({
      name: random.pick(["grpc_proxy", "NO_PROXY", "A", "constructor"]) ?? "",
      value: "v",
    })),
    volumeMounts: listOf(random, 2, () => ({ name: "data", mountPath: random.pick(["/data", "/tmp/", "/"]) ?? "" })),
    ...(random.happens(0.3) && {
      readinessProbe: maybe(random, () => ({ grpc: maybe(random, target) as Json })) as Json,
    }),
  })) as Json;
}

function statusOf(random: Random): string {
  const [name = "", variable = ""] = [random.pick(names), random.pick(["A", "grpc_proxy"])];
  const traffic = random.pick(["env", "redirect", 1]) ?? "env";
  const said = { version: "1", traffic, container: name, port: 9000, revision: "x", variables: { [name]: [variable] } };
  return random.happens(0.2) ? JSON.stringify(scalars) : JSON.stringify(said);
}

function podOf(random: Random): Json {
  const said: Record<string, Json> = {};
  for (const [name, texts] of Object.entries(annotations)) {
    if (random.happens(name === "unknown" ? 0.02 : 0.15)) said[`cutline.dev/${name}`] = random.pick(texts) ?? "";
  }
  if (random.happens(0.3)) said["cutline.dev/injected"] = statusOf(random);
  return {
    metadata: maybe(random, () => ({
      labels: maybe(random, () => ({
        "cutline.dev/inject": "true",
        app: random.pick(["$(X)", "a,b=c"]) ?? "",
      })) as Json,
      annotations: maybe(random, () => said) as Json,
    })) as Json,
    spec: maybe(random, () => ({
      containers: [containerOf(random, names), containerOf(random, names)].slice(random.below(2)),
      initContainers: listOf(random, 2, () => containerOf(random, ["first", "hasownproperty"])),
      volumes: listOf(random, 2, () => ({ name: random.pick(names) ?? "" })),
      terminationGracePeriodSeconds: random.pick([0, -1, 30, "x"]) ?? 0,
    })) as Json,
  };
}

function reviewOf(object: Json): Buffer {
  const kind = { group: "", version: "v1", kind: "Pod" };
  const request = { uid: "u", kind, operation: "CREATE", namespace: "bank", object };
  return Buffer.from(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request }));
}

const plain = {
  metadata: { labels: { "cutline.dev/inject": "true" } },
  spec: { containers: [{ name: "ledger", ports: [{ name: "grpc", containerPort: 9000 }] }] },
};

/**
 * An admission review is refused, or answered in few words, or with a patch that applies; applied, it is the whole of
 * what was to be done, and it has left the user's own containers in their order.
 */
export const target: Target = {
  name: "admission-reviews",
  testExecutions: defaultTestExecutions,
  samples: () => [reviewOf(plain), reviewOf({ ...plain, metadata: { ...plain.metadata, annotations: { a: "b" } } })],
  generate: (random) => reviewOf(podOf(random)),
  open: () => ({
    run(input) {
      let body: Json;
      try {
        body = JSON.parse(input.toString("utf8"));
      } catch {
        // The server refuses it before anybody looks.
        return;
      }
      const read = readReview(body);
      if (read.outcome === "invalid") return;
      const { pod, namespace } = read.request;
      if (pod === undefined) return;
      for (const nativeSidecars of [true, false]) {
        const outcome = inject({ pod, namespace, policy: { ...policy, nativeSidecars } });
        const answer = answerOf(read.request, outcome);
        assert.equal(isObject(answer.response) && answer.response.uid, read.request.uid);
        if (outcome.outcome === "refused") assert.ok(outcome.message.length < 3_000);
        if (outcome.outcome !== "patch") continue;
        const patched = applyPatch(pod, outcome.operations);
        const again = inject({ pod: patched, namespace, policy: { ...policy, nativeSidecars } });
        assert.ok(again.outcome === "skipped", `a second time: ${again.outcome}`);
        assert.deepEqual(ownNames(patched), ownNames(pod));
      }
    },
    close() {},
  }),
};

function ownNames(pod: Json): Json[] {
  const containers = isObject(pod) && isObject(pod.spec) ? pod.spec.containers : [];
  const names = (Array.isArray(containers) ? containers : []).map((each: Json) =>
    isObject(each) ? (each.name ?? null) : null,
  );
  return names.filter((name) => name !== "cutline-agent" && name !== "cutline-redirect");
}
