export type Parsed<T> =
  | { readonly outcome: "ok"; readonly value: T }
  /** The message goes behind the variable's name and never repeats the value: it may be a secret in the wrong place. */
  | { readonly outcome: "invalid"; readonly message: string };

/** One environment variable: how it is read and how it is documented. */
export interface Setting<T> {
  readonly variable: string;
  readonly type: string;
  readonly unit: string | undefined;
  readonly required: boolean;
  readonly doc: string;
  readonly defaultText: string | undefined;
  readonly defaultValue: T;
  parse(raw: string): Parsed<NonNullable<T>>;
}

/** A value that shows itself only on `reveal()`: JSON and text say `[redacted]`, inspection says nothing. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }
}
