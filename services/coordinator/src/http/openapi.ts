import fastifySwagger, { type FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";
import type { Access } from "./access.ts";
import { snapshotParams } from "./requests.ts";
import { problemResponses } from "./responses.ts";
import "./type-provider.ts";

export const abortRoute = "/v1/snapshots/:target";
const abortCollected = "/v1/snapshots/{target}";
const abortPublished = "/v1/snapshots/{id}:abort";

/** Registers what collects the OpenAPI document; routes registered later stand in it. */
export function registerOpenApi(app: FastifyInstance, version: string, access: Access): void {
  app.register(fastifySwagger, documentOptions(version, access));
  app.register(fastifySwaggerUi, {
    routePrefix: "/docs",
    staticCSP: "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'",
    uiConfig: { url: "/openapi.json", docExpansion: "list", validatorUrl: null },
  });
}

const scheme = "bearer";
const accessResponses = problemResponses(401, 403, 503);

function documentOptions(version: string, { isOpen }: Access): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Cutline coordinator",
        version,
        description: "Consistent global states of running gRPC systems: start snapshots, follow them, read them.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: {
        securitySchemes: {
          [scheme]: {
            type: "http",
            scheme: "bearer",
            description:
              "A token of Kubernetes (CUTLINE_ACCESS=kubernetes) or of the coordinator's file (CUTLINE_ACCESS=tokens).",
          },
        },
      },
      ...(!isOpen && { security: [{ [scheme]: [] }] }),
      tags: [
        { name: "snapshots", description: "Start, list, abort and delete snapshots." },
        { name: "state", description: "Read what a completed snapshot holds." },
        { name: "topology", description: "The processes of the mesh, and who is ready to be cut." },
        { name: "operation", description: "For probes and monitoring." },
      ],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json.$id === "string" ? json.$id : `def-${index}`,
    },
    // The collector takes every colon for a parameter.
    transformObject: (document) => {
      if (!("openapiObject" in document)) {
        return document.swaggerObject;
      }
      const { paths = {}, ...rest } = document.openapiObject;
      const published = Object.entries(paths).map(([path, item]) => [
        path === abortCollected ? abortPublished : path,
        item,
      ]);
      return { ...rest, paths: Object.fromEntries(published) };
    },
    transform: ({ schema, url, route }) => {
      if (url.startsWith("/docs")) return { schema: { ...schema, hide: true }, url };
      const params = url === abortRoute ? { params: snapshotParams } : {};
      if (isOpen) return { schema: { ...schema, ...params }, url };
      if (route.config?.access === "open") return { schema: { ...schema, ...params, security: [] }, url };
      const { response } = schema ?? {};
      const described = typeof response === "object" ? { response: { ...accessResponses, ...response } } : {};
      return { schema: { ...schema, ...params, ...described }, url };
    },
  };
}
