import type { Logger } from "@cutline/runtime";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Repeats } from "../repeats.ts";
import { HttpProblem, retryAfter } from "./problems.ts";
import "./type-provider.ts";

/** What a route does, in the terms in which it is allowed. */
export type Permission =
  | { readonly on: "snapshots"; readonly verb: "get" | "list" | "create" | "update" | "delete" }
  /** Reading what a snapshot holds. */
  | { readonly on: "state"; readonly verb: "get" }
  | { readonly on: "path"; readonly path: string };

/** What is written down of everybody who does it. */
export type AuditedAction = "state.read" | "snapshot.start" | "snapshot.abort" | "snapshot.delete";

export type AccessOutcome =
  /** `caller`: a name for the log. */
  | { readonly outcome: "allowed"; readonly caller: string }
  | { readonly outcome: "unauthenticated"; readonly message: string }
  | { readonly outcome: "forbidden"; readonly caller: string; readonly message: string }
  /** Nobody can say now; so it is not allowed. */
  | { readonly outcome: "unknown"; readonly code: string; readonly message: string; readonly retryAfterMs: number };

/** Who may call what. */
export interface Access {
  /** Whether everybody may call everything. */
  readonly isOpen: boolean;
  /** `token`: of a bearer; `undefined`: there is none. Never rejects. */
  check(token: string | undefined, permission: Permission): Promise<AccessOutcome>;
}

export const openAccess: Access = {
  isOpen: true,
  check: async () => ({ outcome: "allowed", caller: "anyone" }),
};

const tokenForm = /^bearer +([!-~]+) *$/i;

/** Asks who calls before anything is done, and writes down who has read a state or changed something. */
export function registerAccess(app: FastifyInstance, access: Access, logger: Logger): void {
  const callers = new WeakMap<FastifyRequest, string>();
  const repeats = new Repeats();

  app.addHook("onRoute", (route) => {
    // The pages of the documentation are somebody else's routes.
    if (route.url === "/docs" || route.url.startsWith("/docs/")) route.config = { ...route.config, access: "open" };
  });

  app.addHook("onRequest", async (request) => {
    const { access: needed = { on: "path", path: request.routeOptions.url ?? "" } } = request.routeOptions.config;
    if (request.is404 || needed === "open") return;
    const outcome = await access.check(tokenForm.exec(request.headers.authorization ?? "")?.[1], needed);
    if (outcome.outcome === "allowed" || outcome.outcome === "forbidden") callers.set(request, outcome.caller);
    if (outcome.outcome !== "allowed") throw refusalOf(outcome);
  });

  // Before the first byte goes out: what is read is written down even when its reader, or this program, goes away.
  app.addHook("onSend", async (request, reply) => {
    const { audit } = request.routeOptions.config;
    const caller = callers.get(request);
    const isRefused = reply.statusCode === 401 || reply.statusCode === 403;
    const key = `${caller ?? request.ip} ${reply.statusCode}`;
    if (audit !== undefined && (caller !== undefined || (isRefused && repeats.isDue(key, Date.now())))) {
      logger.info(auditFields(request, reply, audit, caller), "audit");
    } else if (isRefused && audit === undefined && repeats.isDue(key, Date.now())) {
      const { url } = request.routeOptions;
      logger.warn({ route: url, caller, address: request.ip, status: reply.statusCode }, "caller refused");
    }
  });
}

function refusalOf(outcome: Exclude<AccessOutcome, { outcome: "allowed" }>): HttpProblem {
  switch (outcome.outcome) {
    case "unauthenticated":
      return new HttpProblem(401, "Unauthenticated", outcome.message, {
        headers: { "www-authenticate": 'Bearer realm="cutline"' },
      });
    case "forbidden":
      return new HttpProblem(403, "Forbidden", outcome.message);
    case "unknown":
      return new HttpProblem(503, outcome.code, outcome.message, { headers: retryAfter(outcome.retryAfterMs) });
  }
}

function auditFields(
  { params, ip }: FastifyRequest,
  reply: FastifyReply,
  action: AuditedAction,
  caller: string | undefined,
): object & Record<string, unknown> {
  const { id, target, pid, cid } = params as Readonly<Record<string, string | undefined>>;
  const location = reply.getHeader("location");
  const started = typeof location === "string" ? location.slice(location.lastIndexOf("/") + 1) : undefined;
  const snapshotId = id ?? target?.replace(/:abort$/, "") ?? started;
  const part = action === "state.read" ? (pid ?? cid ?? "all") : undefined;
  const status = reply.statusCode;
  return { action, caller, address: ip, snapshotId, part, outcome: outcomeOf(status), status };
}

function outcomeOf(status: number): "done" | "denied" | "refused" | "failed" {
  if (status < 400) return "done";
  if (status === 401 || status === 403) return "denied";
  return status < 500 ? "refused" : "failed";
}
