import { CutlineError } from "@cutline/runtime";

export type IdentityErrorCode =
  /** The Secret holds what is no authority's state, or that of another mesh; nothing overwrites it. */
  | "SecretInvalid"
  /** The Secret is not there: it is filled, and never created. */
  | "SecretMissing"
  /** This machine's clock and the API server's differ too much: by a wrong one, authorities would be changed in vain. */
  | "ClockWrong"
  /** No authority may issue now: what is known of the Secret is too old, or nothing is. */
  | "AuthorityStale";

export class IdentityError extends CutlineError<IdentityErrorCode> {}
