import type { KubeClient } from "../api/client.ts";

/** Who a token is of, as the API server says it; given back to it in the question what that one may do. */
export interface ReviewedUser {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export type TokenOutcome =
  | { readonly outcome: "authenticated"; readonly user: ReviewedUser }
  /** `message` is for the log and for whoever showed the token; it never quotes it. */
  | { readonly outcome: "refused"; readonly message: string };

type ResourceAttributes = {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: string;
  /** Absent: cluster-wide. */
  readonly namespace?: string;
};

/** What somebody wants to do. */
export type AccessAttributes =
  | { readonly resourceAttributes: ResourceAttributes }
  | { readonly nonResourceAttributes: { readonly path: string; readonly verb: string } };

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: Partial<ReviewedUser>;
    readonly audiences?: readonly string[];
    readonly error?: string;
  };
}

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean; readonly reason?: string };
}

const messageCharsMax = 200;

/** Asks the API server whose token it is. Rejects with a `KubeError` when there is no answer: then nobody knows. */
export async function reviewToken(client: KubeClient, token: string, audience: string): Promise<TokenOutcome> {
  const { status } = await client.send<TokenReview>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, audiences: [audience] },
    },
  });
  const username = status?.user?.username;
  if (status?.authenticated !== true || username === undefined || username === "") {
    const why = status?.error?.replaceAll(token, "[token]").slice(0, messageCharsMax);
    return { outcome: "refused", message: why ?? "the API server does not know the token" };
  }
  // One that knows nothing of audiences names none: its word would hold for tokens that are meant for others.
  if (!status.audiences?.includes(audience)) {
    return { outcome: "refused", message: `the token is not meant for the audience ${audience}` };
  }
  return { outcome: "authenticated", user: { ...status.user, username } };
}

/** Asks the API server whether RBAC, or whatever it authorizes by, lets the user. Rejects with a `KubeError`. */
export async function reviewAccess(
  client: KubeClient,
  { username, uid, groups, extra }: ReviewedUser,
  attributes: AccessAttributes,
): Promise<"allowed" | "denied"> {
  const { status } = await client.send<SubjectAccessReview>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { user: username, uid, groups, extra, ...attributes },
    },
  });
  return status?.allowed === true ? "allowed" : "denied";
}
