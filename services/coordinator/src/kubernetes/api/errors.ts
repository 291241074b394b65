import { CutlineError } from "@cutline/runtime";

export type KubeErrorCode =
  /** No answer, or none that can be read; a write may have happened. */
  | "KubeUnavailable"
  /** 409: somebody else wrote, or the object exists. */
  | "KubeConflict"
  /** 404. */
  | "KubeNotFound"
  /** 410: the version that was asked for is no longer kept. */
  | "KubeGone"
  /** 401 or 403. */
  | "KubeForbidden"
  /** 400 or 422. */
  | "KubeInvalid"
  /** 429 or 503. */
  | "KubeBusy"
  /** The answer exceeds a limit. */
  | "KubeTooLarge"
  /** The kubeconfig, or the pod's service account, cannot be used. */
  | "KubeConfigInvalid";

export class KubeError extends CutlineError<KubeErrorCode> {}

const codes: Readonly<Record<number, KubeErrorCode>> = {
  400: "KubeInvalid",
  401: "KubeForbidden",
  403: "KubeForbidden",
  404: "KubeNotFound",
  409: "KubeConflict",
  410: "KubeGone",
  422: "KubeInvalid",
  429: "KubeBusy",
  503: "KubeBusy",
};

/** The error for a `Status` of the API, or for an answer that is none. */
export function errorOfStatus(httpStatus: number, body: unknown, what: string): KubeError {
  const message = isStatus(body) ? body.message : `status ${httpStatus}`;
  return new KubeError(codes[httpStatus] ?? "KubeUnavailable", `${what}: ${message}`);
}

function isStatus(body: unknown): body is { readonly message: string } {
  return typeof body === "object" && body !== null && "message" in body && typeof body.message === "string";
}

export function isKubeError(error: unknown, code: KubeErrorCode): error is KubeError {
  return error instanceof KubeError && error.code === code;
}
