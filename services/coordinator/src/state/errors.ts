import { CutlineError } from "@cutline/runtime";

/**
 * - `StateCorrupt`: what the store holds is not what the manifest promises.
 * - `StateTooLarge`: a stored record or table is beyond a named limit of {@link StateLimits}.
 */
export type StateErrorCode = "StateCorrupt" | "StateTooLarge";

export class StateError extends CutlineError<StateErrorCode> {}
