import { isObject, type Json, type JsonObject, type Outcome } from "@cutline/injection";

const apiVersion = "admission.k8s.io/v1";
/** Of a name; what is longer is none, and is not logged in full. */
const nameCharsMax = 253;

/** What the API server asks about, as far as it matters here. */
export interface ReviewRequest {
  /** Stands in the answer. */
  readonly uid: string;
  /** It asks what would be; nothing comes of it. */
  readonly dryRun: boolean;
  readonly namespace: string | undefined;
  /** Of the object; with `generateName` only what the name will begin with. For logs. */
  readonly name: string;
  /** The pod that is created; `undefined`: it is something else. */
  readonly pod: JsonObject | undefined;
}

export type ReadReview =
  | { readonly outcome: "request"; readonly request: ReviewRequest }
  | { readonly outcome: "invalid"; readonly message: string };

/** Reads an AdmissionReview of version v1. */
export function readReview(body: Json): ReadReview {
  if (!isObject(body) || body.kind !== "AdmissionReview" || body.apiVersion !== apiVersion) {
    return { outcome: "invalid", message: `the body must be an AdmissionReview of ${apiVersion}` };
  }
  const { request } = body;
  if (!isObject(request) || typeof request.uid !== "string" || request.uid === "") {
    return { outcome: "invalid", message: "the AdmissionReview has no request with a uid" };
  }
  const { uid, kind, operation, subResource, object } = request;
  const isPod = isObject(kind) && kind.group === "" && kind.version === "v1" && kind.kind === "Pod";
  const isCreation = operation === "CREATE" && (subResource === undefined || subResource === "");
  const pod = isPod && isCreation && isObject(object) ? object : undefined;
  return {
    outcome: "request",
    request: {
      uid,
      dryRun: request.dryRun === true,
      namespace: textOf(request.namespace),
      name: textOf(request.name) ?? nameOf(pod),
      pod,
    },
  };
}

/** The answer: an AdmissionReview. */
export function answerOf({ uid }: ReviewRequest, outcome: Outcome | undefined): JsonObject {
  return { apiVersion, kind: "AdmissionReview", response: { uid, ...responseOf(outcome) } };
}

function responseOf(outcome: Outcome | undefined): JsonObject {
  switch (outcome?.outcome) {
    case undefined:
      return { allowed: true };
    case "patch": {
      const { operations, warnings, revision } = outcome;
      const patch = Buffer.from(JSON.stringify(operations)).toString("base64");
      const auditAnnotations = { outcome: "injected", revision };
      return {
        allowed: true,
        patchType: "JSONPatch",
        patch,
        auditAnnotations,
        ...(warnings.length > 0 && { warnings }),
      };
    }
    case "skipped": {
      const { reason, warnings } = outcome;
      const auditAnnotations = { outcome: "skipped", reason };
      return { allowed: true, auditAnnotations, ...(warnings.length > 0 && { warnings }) };
    }
    case "refused": {
      const { code, message } = outcome;
      const status = { code: 422, reason: "Invalid", message: `${code}: ${message}` };
      return { allowed: false, status, auditAnnotations: { outcome: "refused", reason: code } };
    }
  }
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value.slice(0, nameCharsMax) : undefined;
}

function nameOf(pod: JsonObject | undefined): string {
  const metadata = isObject(pod?.metadata) ? pod.metadata : {};
  return textOf(metadata.name) ?? textOf(metadata.generateName) ?? "";
}
