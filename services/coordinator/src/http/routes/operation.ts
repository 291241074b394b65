import type { Logger } from "@cutline/runtime";
import { Type } from "@sinclair/typebox";
import type { Snapshots } from "../../snapshots.ts";
import { HttpProblem, sendProblem } from "../problems.ts";
import { jsonResponse, problemResponses } from "../responses.ts";
import type { Api } from "../type-provider.ts";

export interface MetricsSource {
  /** The Prometheus text format. */
  render(): string | Promise<string>;
  readonly contentType?: string;
}

const tags = ["operation"];
const status = Type.Object({ status: Type.String() });

export interface OperationOptions {
  readonly snapshots: Pick<Snapshots, "readiness">;
  readonly metrics: MetricsSource | undefined;
  readonly logger: Logger;
}

export function registerOperation(api: Api, { snapshots, metrics, logger }: OperationOptions): void {
  let told: Awaited<ReturnType<Snapshots["readiness"]>>["outcome"] | undefined;

  api.get(
    "/healthz",
    {
      schema: {
        operationId: "healthz",
        summary: "The program is alive",
        tags,
        response: { 200: jsonResponse("Alive.", status) },
      },
      config: { produces: false, access: "open" },
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
      config: { produces: false, access: "open" },
    },
    async (request, reply) => {
      const readiness = await snapshots.readiness();
      // Probes come every few seconds: a line for each change, not for each of them.
      if (readiness.outcome !== told) logger.info({ ...readiness }, "readiness changed");
      told = readiness.outcome;
      if (readiness.outcome === "ready") return { status: "ready" };
      const { reasons } = readiness;
      const detail = "This coordinator is not ready; reasons say why.";
      return sendProblem(request, reply, new HttpProblem(503, "NotReady", detail, { reasons }));
    },
  );

  api.get(
    "/readyz/replica",
    {
      schema: {
        operationId: "readyzReplica",
        summary: "This replica's store answers, whether or not it leads: for probes of several replicas",
        tags,
        response: { 200: jsonResponse("Serves.", status), ...problemResponses(503) },
      },
      config: { produces: false, access: "open" },
    },
    async (request, reply) => {
      const readiness = await snapshots.readiness();
      if (readiness.outcome !== "notReady") return { status: readiness.outcome };
      const { reasons } = readiness;
      const detail = "This coordinator does not serve; reasons say why.";
      return sendProblem(request, reply, new HttpProblem(503, "NotReady", detail, { reasons }));
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
        config: { produces: ["text/plain"], access: { on: "path", path: "/metrics" } },
      },
      async (_request, reply) => {
        reply.type(metrics.contentType ?? "text/plain; version=0.0.4; charset=utf-8");
        return metrics.render();
      },
    );
  }

  api.get("/openapi.json", { schema: { hide: true }, config: { access: "open" } }, async () => api.swagger());
}
