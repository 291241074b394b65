import type { Snapshot } from "@cutline/proto/snapshot";
import { type Static, Type } from "@sinclair/typebox";
import type { FastifyRequest } from "fastify";
import type { RefusalCode, Snapshots, StartOutcome, StartRequest } from "../../snapshots.ts";
import type { ListQuery } from "../../store/port.ts";
import { invalid } from "../failures.ts";
import { abortRoute } from "../openapi.ts";
import { HttpProblem, methodNotAllowed, retryAfter, snapshotMissing } from "../problems.ts";
import { idPattern, listQuery, snapshotParams, startBody, startHeaders, targetParams } from "../requests.ts";
import { jsonResponse, problemResponses } from "../responses.ts";
import type { Api } from "../type-provider.ts";

const location = { Location: { type: "string", description: "Where the snapshot is." } };
const tags = ["snapshots"];

export function registerSnapshots(api: Api, snapshots: Snapshots): void {
  api.post(
    "/v1/snapshots",
    {
      schema: {
        operationId: "startSnapshot",
        summary: "Start a snapshot",
        tags,
        body: startBody,
        headers: startHeaders,
        response: {
          200: jsonResponse("The Idempotency-Key was used before: its snapshot.", Type.Ref("Snapshot"), location),
          202: jsonResponse("Accepted; follow Location.", Type.Ref("Snapshot"), location),
          ...problemResponses(400, 406, 409, 413, 415, 422, 429, 500, 503),
        },
      },
      config: { access: { on: "snapshots", verb: "create" }, audit: "snapshot.start" },
    },
    async (request, reply) => {
      const outcome = await snapshots.start(startRequest(request.body, request.headers["idempotency-key"]));
      if (outcome.outcome === "refused") {
        throw refusal(outcome);
      }
      reply.code(outcome.outcome === "accepted" ? 202 : 200);
      reply.header("location", `/v1/snapshots/${encodeURIComponent(outcome.snapshot.id)}`);
      return outcome.snapshot;
    },
  );

  api.get(
    "/v1/snapshots",
    {
      schema: {
        operationId: "listSnapshots",
        summary: "List snapshots, the newest first",
        tags,
        querystring: listQuery,
        response: {
          200: jsonResponse("One page.", Type.Ref("SnapshotList")),
          ...problemResponses(400, 406, 500, 503),
        },
      },
      config: { access: { on: "snapshots", verb: "list" } },
      preValidation: async (request) => readQuery(request),
    },
    async (request) => {
      const page = await snapshots.list(listRequest(request.query));
      return page.next === undefined ? { snapshots: page.snapshots } : { snapshots: page.snapshots, next: page.next };
    },
  );

  api.get(
    "/v1/snapshots/:id",
    {
      schema: {
        operationId: "getSnapshot",
        summary: "One snapshot: its progress while it runs, its manifest once it has ended",
        tags,
        params: snapshotParams,
        response: {
          200: jsonResponse("The snapshot.", Type.Ref("Snapshot")),
          ...problemResponses(404, 406, 500, 503),
        },
      },
      config: { access: { on: "snapshots", verb: "get" } },
    },
    async (request) => found(await snapshots.get(request.params.id)),
  );

  api.delete(
    "/v1/snapshots/:id",
    {
      schema: {
        operationId: "deleteSnapshot",
        summary: "Remove a snapshot with everything stored of it",
        tags,
        params: snapshotParams,
        response: { 204: { description: "Nothing of it is left." }, ...problemResponses(404, 409, 500, 503) },
      },
      config: { produces: false, access: { on: "snapshots", verb: "delete" }, audit: "snapshot.delete" },
    },
    async (request, reply) => {
      const outcome = await snapshots.remove(request.params.id);
      if (outcome === "missing") {
        throw snapshotMissing();
      }
      if (outcome === "running") {
        throw new HttpProblem(409, "SnapshotRunning", "The snapshot is running; abort it first.");
      }
      return reply.code(204).send();
    },
  );

  api.post(
    abortRoute,
    {
      schema: {
        operationId: "abortSnapshot",
        summary: "Abort a running snapshot",
        tags,
        params: targetParams,
        response: {
          200: jsonResponse("It is aborted.", Type.Ref("Snapshot")),
          ...problemResponses(404, 406, 409, 500, 503),
        },
      },
      config: { customMethod: true, access: { on: "snapshots", verb: "update" }, audit: "snapshot.abort" },
    },
    async (request) => {
      const outcome = await snapshots.abort(abortTarget(request.params.target));
      if (outcome.outcome === "aborted") {
        return outcome.snapshot;
      }
      throw outcome.outcome === "missing"
        ? snapshotMissing()
        : new HttpProblem(409, "SnapshotEnded", "The snapshot has ended already; there is nothing to abort.");
    },
  );
}

function found(snapshot: Snapshot | undefined): Snapshot {
  if (snapshot === undefined) {
    throw snapshotMissing();
  }
  return snapshot;
}

function startRequest(body: Static<typeof startBody>, idempotencyKey: string | undefined): StartRequest {
  const { scope, ...rest } = body;
  return {
    ...rest,
    ...(scope !== undefined && {
      scope: { namespaces: scope.namespaces ?? [], labelSelector: scope.labelSelector ?? {} },
    }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  };
}

const refusalStatus: Readonly<Record<RefusalCode, number>> = {
  TooManySnapshots: 429,
  TooSoon: 429,
  NotLeading: 503,
  StoreUnavailable: 503,
  NoProcesses: 409,
  UnknownInitiator: 422,
};

function refusal(outcome: Extract<StartOutcome, { outcome: "refused" }>): HttpProblem {
  const headers = outcome.retryAfterMs === undefined ? {} : retryAfter(outcome.retryAfterMs);
  return new HttpProblem(refusalStatus[outcome.code], outcome.code, outcome.message, { headers });
}

const targetForm = new RegExp(`${idPattern.slice(0, -1)}(:abort)?$`);

function abortTarget(target: string): string {
  const match = targetForm.exec(target);
  if (match === null) {
    throw snapshotMissing();
  }
  if (match[1] === undefined) {
    throw methodNotAllowed("POST", ["GET", "HEAD", "DELETE"]);
  }
  return target.slice(0, -":abort".length);
}

/** A query string holds only strings: what the schema calls a number or a list is read as one. */
function readQuery(request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>;
  for (const name of ["label", "phase"]) {
    if (typeof query[name] === "string") {
      query[name] = [query[name]];
    }
  }
  const { limit } = query;
  if (typeof limit === "string" && /^\d{1,9}$/.test(limit)) {
    query.limit = Number(limit);
  }
}

function listRequest(query: Static<typeof listQuery>): ListQuery {
  return {
    limit: query.limit ?? 50,
    ...(query.label !== undefined && { labels: labelFilters(query.label) }),
    ...(query.phase !== undefined && { phases: query.phase }),
    ...(query.since !== undefined && { createdSince: instant("since", query.since) }),
    ...(query.before !== undefined && { createdBefore: instant("before", query.before) }),
    ...(query.cursor !== undefined && { cursor: query.cursor }),
  };
}

function labelFilters(filters: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const filter of filters) {
    const at = filter.indexOf("=");
    const key = filter.slice(0, at);
    const value = filter.slice(at + 1);
    if ((labels[key] ?? value) !== value) {
      throw invalid([{ field: "querystring/label", message: "names one key with two values, and nothing has both" }]);
    }
    labels[key] = value;
  }
  return labels;
}

/** In the form that documents have, so that stores may compare times as text. */
function instant(name: "since" | "before", text: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw invalid([{ field: `querystring/${name}`, message: "is not a time" }]);
  }
  return time.toISOString();
}
