import { type TSchema, Type } from "@sinclair/typebox";

const problemContent = { "application/problem+json": { schema: Type.Ref("Problem") } };

const problemTexts = {
  400: "The request is not valid; errors name the fields.",
  401: "No token, or one that is not known; WWW-Authenticate says what is wanted.",
  403: "The token's owner may not do this.",
  404: "There is no such thing.",
  406: "Accept allows none of what there is.",
  409: "Not in the present phase.",
  413: "The body is too large.",
  415: "The body is not application/json.",
  422: "The initiator is not a process of the mesh.",
  429: "Too many snapshots, or too soon; Retry-After says when to come back.",
  500: "What is stored is damaged, or something went wrong here.",
  503: "Not now; Retry-After says when to come back.",
} as const;

type ProblemStatus = keyof typeof problemTexts;

/** The OpenAPI responses of the problems a route may answer with. */
export function problemResponses(...statuses: ProblemStatus[]): Record<number, object> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: problemTexts[status],
        ...(status === 401 && { headers: { "WWW-Authenticate": { type: "string" } } }),
        ...((status === 429 || status === 503) && {
          headers: { "Retry-After": { type: "integer", description: "Seconds." } },
        }),
        content: problemContent,
      },
    ]),
  );
}

export function jsonResponse(description: string, schema: TSchema, headers?: Record<string, object>): object {
  return { description, ...(headers !== undefined && { headers }), content: { "application/json": { schema } } };
}
