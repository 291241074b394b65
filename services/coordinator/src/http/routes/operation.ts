import { Type } from "@sinclair/typebox";
import type { Snapshots } from "../../snapshots.ts";
import { HttpProblem } from "../problems.ts";
import { jsonResponse, problemResponses } from "../responses.ts";
import type { Api } from "../type-provider.ts";

export interface MetricsSource {
  /** The Prometheus text format. */
  render(): string | Promise<string>;
  readonly contentType?: string;
}

const tags = ["operation"];
const status = Type.Object({ status: Type.String() });

export function registerOperation(api: Api, snapshots: Snapshots, metrics: MetricsSource | undefined): void {
  api.get(
    "/healthz",
    {
      schema: {
        operationId: "healthz",
        summary: "The program is alive",
        tags,
        response: { 200: jsonResponse("Alive.", status) },
      },
      config: { produces: false },
    },
    async () => ({ status: "alive" }),
  );

  api.get(
    "/readyz",
    {
      schema: {
        operationId: "readyz",
        summary: "This replica leads and its store answers",
        tags,
        response: { 200: jsonResponse("Ready.", status), ...problemResponses(503) },
      },
      config: { produces: false },
    },
    async () => {
      const readiness = await snapshots.readiness();
      if (readiness.outcome === "notReady") {
        throw new HttpProblem(503, "NotReady", "This coordinator is not ready; reasons say why.", {
          reasons: readiness.reasons,
        });
      }
      return { status: "ready" };
    },
  );

  if (metrics !== undefined) {
    api.get(
      "/metrics",
      {
        schema: {
          operationId: "metrics",
          summary: "Metrics in the Prometheus text format",
          tags,
          response: { 200: { description: "All metrics.", content: { "text/plain": { schema: { type: "string" } } } } },
        },
        config: { produces: ["text/plain"] },
      },
      async (_request, reply) => {
        reply.type(metrics.contentType ?? "text/plain; version=0.0.4; charset=utf-8");
        return metrics.render();
      },
    );
  }

  api.get("/openapi.json", { schema: { hide: true } }, async () => api.swagger());
}
