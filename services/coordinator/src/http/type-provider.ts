import type { IncomingMessage, ServerResponse } from "node:http";
import type { Static, TSchema } from "@sinclair/typebox";
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from "fastify";
import type { AuditedAction, Permission } from "./access.ts";

/** Gives handlers the types of their route's TypeBox schemas. */
interface TypeBoxProvider extends FastifyTypeProvider {
  validator: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
}

export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxProvider
>;

declare module "fastify" {
  interface FastifyContextConfig {
    /** What a caller must be allowed; `open`: nobody is asked. By default the route's own path. */
    access?: Permission | "open";
    /** Whoever calls this is written down. */
    audit?: AuditedAction;
    /** Media types of the answer, the preferred first; `false`: not negotiated. By default application/json. */
    produces?: readonly [string, ...string[]] | false;
    /** The answer streams, for as long as its reader takes. */
    streams?: boolean;
    /** This route only says 405, and which methods there are. */
    allow?: readonly string[];
    /** A custom method on a resource (`{id}:abort`), not a method of the resource itself. */
    customMethod?: boolean;
  }
}
