import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pod } from "kubernetes-models/v1/Pod";
import { injectedOf } from "./support/injected.ts";
import { podOf } from "./support/pods.ts";

/** The OpenAPI schemas of a Kubernetes that knows native sidecars, which the API server of the tests does not. */
function validate(pod: unknown): void {
  const { metadata, spec } = pod as ConstructorParameters<typeof Pod>[0] & object;
  new Pod({ metadata: { ...metadata, name: "ledger" }, spec } as ConstructorParameters<typeof Pod>[0]).validate();
}

const redirect = { "cutline.dev/traffic": "redirect", "cutline.dev/outbound-ports": "9000" };
const container = { readinessProbe: { grpc: { port: 9000 } } };

describe("an injected pod", () => {
  for (const nativeSidecars of [true, false]) {
    for (const annotations of [{}, redirect]) {
      it(`is valid: ${nativeSidecars ? "native" : "ordinary"}, ${Object.keys(annotations).length ? "redirect" : "env"}`, () => {
        const { pod } = injectedOf(podOf({ annotations, container }), { nativeSidecars });
        validate(pod);
      });
    }
  }

  it("would not be, with a restart policy that Kubernetes does not know", () => {
    const { pod } = injectedOf(podOf());
    const text = JSON.stringify(pod);
    assert.throws(
      () => validate(JSON.parse(text.replace('"restartPolicy":"Always"', '"restartPolicy":7'))),
      /restartPolicy/,
    );
  });
});
