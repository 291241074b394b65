import { createHash } from "node:crypto";
import { describeError, type Logger } from "@cutline/runtime";
import type { Access, AccessOutcome, Permission } from "../../http/access.ts";
import { Repeats } from "../../repeats.ts";
import type { KubeClient } from "../api/client.ts";
import { group, snapshotsPlural } from "../resources/names.ts";
import { Answers, TooManyQuestions } from "./answers.ts";
import type { AccessLimits } from "./limits.ts";
import { type AccessAttributes, type ReviewedUser, reviewAccess, reviewToken, type TokenOutcome } from "./reviews.ts";

export interface KubernetesAccessOptions {
  readonly client: KubeClient;
  /** For whom a token must be meant. */
  readonly audience: string;
  /** Where RBAC must allow it; `undefined`: cluster-wide. */
  readonly namespace: string | undefined;
  readonly limits: AccessLimits;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** Callers are whom the API server knows by their tokens, and may what its authorization lets them. */
export class KubernetesAccess implements Access {
  readonly isOpen = false;
  readonly #options: KubernetesAccessOptions;
  /** By the hash of the token: what is kept here is of no use to anybody. */
  readonly #tokens: Answers<TokenOutcome>;
  readonly #rights: Answers<"allowed" | "denied">;
  readonly #repeats = new Repeats();

  constructor(options: KubernetesAccessOptions) {
    this.#options = options;
    const { cacheMs: yesMs, refusedCacheMs: noMs, cachedMax, reviewsMax: openMax } = options.limits;
    const bounds = { yesMs, noMs, cachedMax, openMax, nowMs: options.nowMs };
    this.#tokens = new Answers(({ outcome }) => outcome === "authenticated", bounds);
    this.#rights = new Answers((right) => right === "allowed", bounds);
  }

  async check(token: string | undefined, permission: Permission): Promise<AccessOutcome> {
    const { client, audience } = this.#options;
    if (token === undefined) {
      const message = `Show a token of Kubernetes for the audience ${audience}: Authorization: Bearer TOKEN.`;
      return { outcome: "unauthenticated", message };
    }
    try {
      const hash = createHash("sha256").update(token).digest("base64");
      const reviewed = await this.#tokens.find(hash, () => reviewToken(client, token, audience));
      if (reviewed.outcome === "refused") {
        return { outcome: "unauthenticated", message: `The token is refused: ${reviewed.message}.` };
      }
      const attributes = attributesOf(permission, this.#options.namespace);
      const right = await this.#right(reviewed.user, hash, attributes);
      const caller = reviewed.user.username;
      if (right === "allowed") return { outcome: "allowed", caller };
      return { outcome: "forbidden", caller, message: `${caller} may not ${describe(attributes)}; ask for a role.` };
    } catch (error) {
      return this.#unknown(error);
    }
  }

  /** By the token too: another token of the same user may speak for other groups. */
  async #right(user: ReviewedUser, hash: string, attributes: AccessAttributes): Promise<"allowed" | "denied"> {
    const { client } = this.#options;
    return await this.#rights.find(`${hash} ${JSON.stringify(attributes)}`, () =>
      reviewAccess(client, user, attributes),
    );
  }

  #unknown(error: unknown): AccessOutcome {
    const { limits, logger, nowMs } = this.#options;
    const retryAfterMs = limits.retryMs;
    if (error instanceof TooManyQuestions) {
      const message = "Too many callers are being looked up; try again later.";
      return { outcome: "unknown", code: "TooManyRequests", message, retryAfterMs };
    }
    if (this.#repeats.isDue(describeError(error), nowMs())) {
      logger.error({ error }, "callers cannot be judged: the API server was asked in vain");
    }
    const message = "The API server of Kubernetes does not say who calls and what is allowed; try again later.";
    return { outcome: "unknown", code: "KubernetesUnavailable", message, retryAfterMs };
  }
}

function attributesOf(permission: Permission, namespace: string | undefined): AccessAttributes {
  if (permission.on === "path") return { nonResourceAttributes: { path: permission.path, verb: "get" } };
  const resource = {
    group,
    resource: snapshotsPlural,
    verb: permission.verb,
    ...(permission.on === "state" && { subresource: "state" }),
    ...(namespace !== undefined && { namespace }),
  };
  return { resourceAttributes: resource };
}

function describe(attributes: AccessAttributes): string {
  if ("nonResourceAttributes" in attributes) return `get ${attributes.nonResourceAttributes.path}`;
  const { verb, resource, subresource, namespace } = attributes.resourceAttributes;
  const what = subresource === undefined ? `${resource}.${group}` : `${resource}.${group}/${subresource}`;
  return `${verb} ${what} ${namespace === undefined ? "in the whole cluster" : `in the namespace ${namespace}`}`;
}
