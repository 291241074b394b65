import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { type Logger, silentLogger } from "@cutline/runtime";
import Fastify, { type FastifyInstance } from "fastify";
import type { Snapshots } from "../snapshots.ts";
import { createPayloadDecoder } from "../state/payloads.ts";
import type { Store } from "../store/port.ts";
import { type Access, openAccess, registerAccess } from "./access.ts";
import { registerConduct } from "./conduct.ts";
import { problemFor } from "./failures.ts";
import { type HttpLimits, httpLimitsDefault } from "./limits.ts";
import { answerOtherMethods } from "./methods.ts";
import { registerOpenApi } from "./openapi.ts";
import { HttpProblem, problemBody, problemType, sendProblem } from "./problems.ts";
import { type MetricsSource, registerOperation } from "./routes/operation.ts";
import { registerSnapshots } from "./routes/snapshots.ts";
import { registerState } from "./routes/state.ts";
import { registerTopology } from "./routes/topology.ts";
import { snapshotSchemas } from "./schemas.ts";
import { stateSchemas } from "./state-schemas.ts";
import type { Api } from "./type-provider.ts";

export interface HttpOptions {
  readonly snapshots: Snapshots;
  /** Where the states are read from. */
  readonly store: Pick<Store, "readPart" | "statPart">;
  readonly logger?: Logger;
  /** What is not given stands at {@link httpLimitsDefault}. */
  readonly limits?: Partial<HttpLimits>;
  /** A serialized FileDescriptorSet: payloads of its methods are shown as JSON too. */
  readonly descriptorSet?: Uint8Array;
  /** Without it there is no /metrics. */
  readonly metrics?: MetricsSource;
  /** Who may call what; everybody everything by default. */
  readonly access?: Access;
  /** Of this program, for the OpenAPI document. */
  readonly version?: string;
}

/** A process id is two DNS names and an encoded slash; a channel id is shorter. */
const pathParameterCharsMax = 1_024;

/**
 * The REST API. `listen` and `close` it; `close` waits for running answers, at most `closeGraceMs`.
 * Throws `BadDescriptorSet` when `descriptorSet` is not one.
 */
export function createHttp(options: HttpOptions): FastifyInstance {
  const logger = options.logger ?? silentLogger;
  const limits: HttpLimits = { ...httpLimitsDefault, ...options.limits };
  const decode = options.descriptorSet === undefined ? undefined : createPayloadDecoder(options.descriptorSet);

  const app: FastifyInstance = Fastify({
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: limits.idleTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    http: {
      headersTimeout: limits.headersTimeoutMs,
      maxHeaderSize: limits.headerBytesMax,
      // Node looks every 30 s otherwise, whatever the time-outs are.
      connectionsCheckingInterval: Math.ceil(limits.headersTimeoutMs / 2),
    },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    routerOptions: { maxParamLength: pathParameterCharsMax },
    // Types are never coerced and unknown properties never dropped: what is not valid is refused.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true } },
    frameworkErrors: (error, request, reply) => {
      sendProblem(request, reply, problemFor(error, request, limits));
    },
    clientErrorHandler: answerUnreadable,
  });
  app.server.maxConnections = limits.connectionsMax;
  app.removeContentTypeParser("text/plain");
  // The published documents are plain objects: nothing is dropped or changed on the way out.
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler((error, request, reply) => {
    const problem = problemFor(error, request, limits);
    if (problem.status >= 500) {
      logger.error(
        { error, method: request.method, route: request.routeOptions.url, code: problem.code },
        "request failed",
      );
    }
    return sendProblem(request, reply, problem);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      new HttpProblem(404, "NotFound", "There is nothing at this path; /docs shows what there is."),
    ),
  );

  for (const schema of [...snapshotSchemas, ...stateSchemas]) {
    app.addSchema(schema);
  }
  const access = options.access ?? openAccess;
  registerConduct(app, logger, limits);
  registerAccess(app, access, logger);
  registerOpenApi(app, options.version ?? "0.0.0", access);
  app.register(async (scope) => {
    const api = scope as unknown as Api;
    answerOtherMethods(scope, () => {
      registerSnapshots(api, options.snapshots);
      registerState(api, { snapshots: options.snapshots, store: options.store, logger, limits, decode });
      registerTopology(api, options.snapshots);
      registerOperation(api, { snapshots: options.snapshots, metrics: options.metrics, logger });
    });
  });
  return app;
}

/** What cannot be parsed as HTTP never reaches a route. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem =
    error.code === "HPE_HEADER_OVERFLOW"
      ? new HttpProblem(431, "HeadersTooLarge", "The headers of the request are too large.")
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? new HttpProblem(408, "RequestTimeout", "The request did not arrive in time.")
        : new HttpProblem(400, "BadRequest", "The request is not valid HTTP.");
  const body = JSON.stringify(problemBody(problem, ""));
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: ${problemType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
