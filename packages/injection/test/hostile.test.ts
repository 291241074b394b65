import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inject } from "../src/inject.ts";
import type { Json, JsonObject } from "../src/json.ts";
import { applyPatch } from "./support/apply-patch.ts";
import { envOf, injectedOf, refusalOf } from "./support/injected.ts";
import { podOf, policy } from "./support/pods.ts";

/** Ten times as long as it takes on a slow machine; what grows with the square of the pod takes minutes. */
const soonMs = 5_000;

const many = (count: number, prefix: string) => Array.from({ length: count }, (_, at) => ({ name: `${prefix}${at}` }));
const statusOf = (variables: Record<string, string[]>, traffic = "env") =>
  JSON.stringify({ version: "1", traffic, container: "ledger", port: 9000, revision: "another", variables });

const capturing = (capture: string, mountPath = "/data") =>
  podOf({
    annotations: { "cutline.dev/capture": capture },
    container: { volumeMounts: [{ name: "data", mountPath }] },
  });

describe("a pod that means harm", () => {
  const large: readonly (readonly [what: string, pod: Json])[] = [
    ["variables", podOf({ container: { env: many(100_000, "e") } })],
    ["volumes", podOf({ spec: { volumes: many(100_000, "v") } })],
    [
      "variables that are said to be injected",
      podOf({
        annotations: { "cutline.dev/injected": statusOf({ ledger: many(50_000, "e").map(({ name }) => name) }) },
        container: { env: many(100_000, "e") },
      }),
    ],
    ["containers", podOf({ others: many(20_000, "c") })],
  ];
  for (const [what, pod] of large) {
    it(`is judged soon, however many ${what} it has`, () => {
      const beganAtMs = performance.now();
      const outcome = inject({ pod, namespace: "bank", policy });
      const elapsedMs = performance.now() - beganAtMs;
      assert.equal(outcome.outcome, "patch");
      assert.ok(elapsedMs < soonMs, `it took ${elapsedMs} ms`);
    });
  }

  it("is patched right where variables are taken out of the midst of others", () => {
    const env = many(10, "e").map(({ name }, at) => ({ name, value: String(at) }));
    const before = podOf({
      annotations: { "cutline.dev/injected": statusOf({ ledger: ["e0", "e4", "e9"] }) },
      container: { env },
    });
    const [ledger] = injectedOf(before).containers;
    assert.deepEqual(Object.keys(envOf(ledger)).slice(0, 7), ["e1", "e2", "e3", "e5", "e6", "e7", "e8"]);
  });

  it("gets no longer an answer for what it is full of", () => {
    const annotations = Object.fromEntries(many(50_000, "cutline.dev/x").map(({ name }) => [name, ""]));
    assert.ok(refusalOf(podOf({ annotations })).message.length < 3_000);
    assert.ok(refusalOf(podOf({ labels: { "cutline.dev/inject": "y".repeat(1e6) } })).message.length < 3_000);
  });

  for (const name of ["constructor", "valueOf", "__proto__"]) {
    it(`may call a container ${name}`, () => {
      const env = [{ name: "MODE", value: "x" }];
      const annotations = { "cutline.dev/injected": statusOf({}) };
      const pod = podOf({ annotations, container: { name, env } });
      const once = injectedOf(pod).pod;
      assert.deepEqual(envOf(injectedOf(pod).containers[0]).MODE, "x");
      assert.equal(inject({ pod: once, namespace: "bank", policy }).outcome, "skipped");
    });
  }

  for (const capture of [
    "file:///data/%",
    "file:///data/%zz",
    "file:///data/a%2Fb",
    "file:///data/a?b",
    "file:///data/a#b",
  ]) {
    it(`is refused with the capture ${capture}, which the agent would not take`, () => {
      assert.equal(refusalOf(capturing(capture)).code, "AnnotationInvalid");
    });
  }

  for (const [capture, mountPath] of [
    ["file:///data/../etc/passwd", "/data"],
    ["file:///data/%2e%2e/var/run/cutline/identity/key.pem", "/data"],
    ["file:///tmp/state", "/tmp/"],
    ["file:///var/run/cutline/identity/key.pem", "/var/run/cutline"],
    ["file:///var/run/cutline/token/token", "//var/run/cutline/token/"],
    ["file:///data/x", "/"],
  ] as const) {
    it(`is refused with the capture ${capture} and a volume at ${mountPath}`, () => {
      assert.equal(refusalOf(capturing(capture, mountPath)).code, "CaptureFileNotShared");
    });
  }

  it("has the file found whose name is encoded", () => {
    const mounts = (pod: JsonObject) =>
      injectedOf(pod).initContainers.find(({ name }) => name === "cutline-agent")?.volumeMounts as JsonObject[];
    assert.deepEqual(mounts(capturing("file:///da%74a/x%23y", "/data/")).at(-1), {
      name: "data",
      mountPath: "/data/",
      readOnly: true,
    });
  });

  for (const text of [
    "http://127.0.0.1:1/$(POD_IP)",
    "http://127.0.0.1:1/$$(POD_IP)",
    "http://127.0.0.1:1/$$$(POD_IP)$",
  ]) {
    it(`has ${text} left as it is by the kubelet`, () => {
      const value = injectedOf(podOf({ annotations: { "cutline.dev/capture": text } })).agentEnv.CUTLINE_CAPTURE ?? "";
      assert.equal(expanded(value), text);
    });
  }

  it("gets a patch that applies, where names are there twice", () => {
    const env = [{ name: "a" }, { name: "a" }];
    const pod = podOf({ container: { env }, others: [{ name: "ledger" }, { name: "ledger" }] });
    const outcome = inject({ pod, namespace: "bank", policy });
    assert.ok(outcome.outcome === "patch");
    applyPatch(pod, outcome.operations);
  });
});

/** As Kubernetes does it (third_party/forked/golang/expansion): `$$` is a `$`, `$(NAME)` what NAME is. */
function expanded(value: string): string {
  return value.replace(/\$\$|\$\(([^)]*)\)/g, (found) => (found === "$$" ? "$" : "EXPANDED"));
}
