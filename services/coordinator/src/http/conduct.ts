import type { Logger } from "@cutline/runtime";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { negotiate } from "./accept.ts";
import type { HttpLimits } from "./limits.ts";
import { HttpProblem, methodNotAllowed, retryAfter, snapshotMissing } from "./problems.ts";
import { idPattern } from "./requests.ts";
import "./type-provider.ts";

const idForm = new RegExp(idPattern);

/** What holds for every call: closing down, ids, Accept, time-outs, headers, the request log. */
export function registerConduct(app: FastifyInstance, logger: Logger, limits: HttpLimits): void {
  let closing = false;

  app.addHook("onRoute", (route) => {
    if (route.config?.streams !== true) {
      route.handlerTimeout ??= limits.handlerTimeoutMs;
    }
  });

  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-content-type-options", "nosniff");
    if (closing) {
      throw new HttpProblem(503, "ShuttingDown", "This coordinator is shutting down; ask another one.", {
        headers: retryAfter(limits.closeGraceMs),
      });
    }
    const { allow, produces = ["application/json"] } = request.routeOptions.config;
    checkId(request);
    if (allow !== undefined) {
      throw methodNotAllowed(request.method, allow);
    }
    if (produces !== false && !request.is404) {
      negotiate(request.headers.accept, produces);
    }
  });

  app.addHook("onResponse", async (request, reply) => {
    logger.debug(
      {
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime),
      },
      "request answered",
    );
  });

  app.addHook("preClose", async () => {
    closing = true;
    const timer = setTimeout(() => app.server.closeAllConnections(), limits.closeGraceMs);
    app.server.once("close", () => clearTimeout(timer));
    if (!app.server.listening) {
      clearTimeout(timer);
    }
  });
}

/** Before anything else is looked at: what cannot be an id is not there. */
function checkId(request: FastifyRequest): void {
  const id = paramOf(request, "id");
  if (id === undefined || idForm.test(id)) {
    return;
  }
  if (request.routeOptions.url === "/v1/snapshots/:id" && id.endsWith(":abort")) {
    throw methodNotAllowed(request.method, ["POST"]);
  }
  throw snapshotMissing();
}

function paramOf(request: FastifyRequest, name: string): string | undefined {
  const params: unknown = request.params;
  if (typeof params !== "object" || params === null || !(name in params)) {
    return undefined;
  }
  const value = (params as Readonly<Record<string, unknown>>)[name];
  return typeof value === "string" ? value : undefined;
}
