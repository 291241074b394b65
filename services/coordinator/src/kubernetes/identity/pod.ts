import { isProcessId } from "@cutline/runtime";
import type { ReviewedUser } from "../access/reviews.ts";

/** The pod that a token is bound to: the API server takes the token no more once that pod is gone. */
export interface BoundPod {
  /** `NAMESPACE/POD`: the process id. */
  readonly processId: string;
  readonly namespace: string;
  readonly podUid: string;
  readonly serviceAccount: string;
}

export type PodOutcome =
  | { readonly outcome: "bound"; readonly pod: BoundPod }
  | { readonly outcome: "refused"; readonly code: "TokenNotBound" | "NamespaceNotServed"; readonly message: string };

const accountForm = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/;
const podNameClaim = "authentication.kubernetes.io/pod-name";
const podUidClaim = "authentication.kubernetes.io/pod-uid";

/** Whose pod it is, by what the API server says of the token and by nothing else. `namespaces`: empty for all. */
export function podOf({ username, extra }: ReviewedUser, namespaces: readonly string[]): PodOutcome {
  const account = accountForm.exec(username);
  const podName = only(extra?.[podNameClaim]);
  const podUid = only(extra?.[podUidClaim]);
  if (account === null || podName === undefined || podUid === undefined) {
    const message = `the token of ${username} is not bound to a pod; use a projected service account token (a volume of the pod), not one of a Secret or of a user`;
    return { outcome: "refused", code: "TokenNotBound", message };
  }
  const [, namespace = "", serviceAccount = ""] = account;
  const processId = `${namespace}/${podName}`;
  if (!isProcessId(processId)) {
    return { outcome: "refused", code: "TokenNotBound", message: `${processId} is no name of a process` };
  }
  if (namespaces.length > 0 && !namespaces.includes(namespace)) {
    const message = `no certificates are issued to the namespace ${namespace}; see CUTLINE_IDENTITY_NAMESPACES`;
    return { outcome: "refused", code: "NamespaceNotServed", message };
  }
  return { outcome: "bound", pod: { processId, namespace, podUid, serviceAccount } };
}

/** Two values would be two readings. */
function only(values: readonly string[] | undefined): string | undefined {
  const [value] = values ?? [];
  return values?.length === 1 && value !== "" ? value : undefined;
}
