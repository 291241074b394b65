/** One deliberate bug: a line of the shipped code, and what stands in its place. */
export interface Mutant {
  readonly name: string;
  readonly breaks: string;
  /** Under `packages/`. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
}
