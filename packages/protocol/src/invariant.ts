/** The numbered guarantees of the design that code asserts. */
export type InvariantId = "I1" | "I2" | "I8";

/**
 * A guarantee does not hold: a defect of Cutline or of a peer. Whoever catches it gives the snapshot up; no global state
 * may be published from what follows.
 */
export class InvariantViolation extends Error {
  readonly code = "InvariantViolated";
  readonly invariant: InvariantId;

  constructor(invariant: InvariantId, message: string) {
    super(`${invariant}: ${message}`);
    this.name = "InvariantViolation";
    this.invariant = invariant;
  }
}

export function invariant(holds: boolean, id: InvariantId, message: () => string): asserts holds {
  if (!holds) throw new InvariantViolation(id, message());
}
