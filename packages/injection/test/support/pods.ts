import type { JsonObject } from "../../src/json.ts";
import { defaultPolicy, type InjectionPolicy } from "../../src/policy.ts";

export const policy: InjectionPolicy = {
  ...defaultPolicy,
  version: "1.2.3",
  image: "registry.example/cutline:1.2.3",
  meshAuthorities: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
};

export interface PodParts {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly metadata?: JsonObject;
  readonly spec?: JsonObject;
  /** Over the application's container. */
  readonly container?: JsonObject;
  readonly others?: readonly JsonObject[];
}

export function podOf(parts: PodParts = {}): JsonObject {
  const { labels, annotations, metadata, spec, container, others = [] } = parts;
  const application = {
    name: "ledger",
    image: "ledger:1",
    ports: [{ name: "grpc", containerPort: 9000 }],
    ...container,
  };
  return {
    metadata: {
      labels: { app: "ledger", "cutline.dev/inject": "true", ...labels },
      ...(annotations && { annotations }),
      ...metadata,
    },
    spec: { containers: [application, ...others], ...spec },
  };
}
