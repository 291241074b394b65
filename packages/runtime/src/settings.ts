import { type Parsed, Secret, type Setting } from "./setting.ts";

interface Documented {
  /** One sentence for the configuration reference. */
  readonly doc: string;
}

interface Defaulted<T> {
  readonly default: T;
}

interface Required {
  readonly required: true;
}

interface IntegerOptions extends Documented {
  readonly min?: number;
  readonly max?: number;
  /** `ms`, `bytes`, `port`, ... as the reference shows it. */
  readonly unit?: string;
}

/** A whole number, within `min` and `max` (both inclusive; by default 0 and the largest safe integer). */
export function integer(variable: string, options: IntegerOptions & (Defaulted<number> | Required)): Setting<number>;
export function integer(variable: string, options: IntegerOptions): Setting<number | undefined>;
export function integer(
  variable: string,
  options: IntegerOptions & Partial<Defaulted<number>> & Partial<Required>,
): Setting<number | undefined> {
  const min = options.min ?? 0;
  const max = options.max ?? Number.MAX_SAFE_INTEGER;
  const parse = (raw: string): Parsed<number> => {
    const value = /^-?\d{1,16}$/.test(raw) ? Number(raw) : Number.NaN;
    return value >= min && value <= max
      ? { outcome: "ok", value }
      : { outcome: "invalid", message: `must be a whole number from ${min} to ${max}` };
  };
  return {
    ...base(variable, options),
    type: max === Number.MAX_SAFE_INTEGER ? `integer, at least ${min}` : `integer, ${min} to ${max}`,
    unit: options.unit,
    defaultText: options.default === undefined ? undefined : String(options.default),
    defaultValue: options.default,
    parse,
  };
}

interface TextOptions extends Documented {
  /** The whole value must match; say what it wants in `patternDoc`. */
  readonly pattern?: RegExp;
  readonly patternDoc?: string;
  /** In UTF-16 code units; 4096 by default. */
  readonly charsMax?: number;
}

const textCharsMaxDefault = 4096;

/** Text. An empty variable counts as not set. */
export function text(variable: string, options: TextOptions & (Defaulted<string> | Required)): Setting<string>;
export function text(variable: string, options: TextOptions): Setting<string | undefined>;
export function text(
  variable: string,
  options: TextOptions & Partial<Defaulted<string>> & Partial<Required>,
): Setting<string | undefined> {
  return {
    ...base(variable, options),
    type: options.patternDoc === undefined ? "text" : `text, ${options.patternDoc}`,
    defaultText: options.default,
    defaultValue: options.default,
    parse: (raw) => parseText(raw, options),
  };
}

interface SecretOptions extends Documented {
  readonly charsMax?: number;
}

/** Text that is never shown: it arrives wrapped, and neither problems nor logs repeat it. */
export function secret(variable: string, options: SecretOptions & Required): Setting<Secret>;
export function secret(variable: string, options: SecretOptions): Setting<Secret | undefined>;
export function secret(variable: string, options: SecretOptions & Partial<Required>): Setting<Secret | undefined> {
  return {
    ...base(variable, options),
    type: "secret",
    defaultText: undefined,
    defaultValue: undefined,
    parse: (raw) => {
      const parsed = parseText(raw, options);
      return parsed.outcome === "ok" ? { outcome: "ok", value: new Secret(parsed.value) } : parsed;
    },
  };
}

interface ListOptions extends TextOptions {
  readonly default?: readonly string[];
  readonly required?: true;
  /** 100 by default. */
  readonly itemsMax?: number;
}

const listItemsMaxDefault = 100;

/** Texts separated by commas; blanks around an item and empty items are dropped. Empty when it is not set. */
export function list(variable: string, options: ListOptions): Setting<readonly string[]> {
  const itemsMax = options.itemsMax ?? listItemsMaxDefault;
  const defaultValue = options.default ?? [];
  return {
    ...base(variable, options),
    type: options.patternDoc === undefined ? "list, comma separated" : `list, comma separated, ${options.patternDoc}`,
    defaultText: defaultValue.length === 0 ? undefined : defaultValue.join(","),
    defaultValue,
    parse: (raw) => {
      const items = raw.split(",").flatMap((item) => (item.trim() === "" ? [] : [item.trim()]));
      if (items.length > itemsMax) {
        return { outcome: "invalid", message: `has ${items.length} items; at most ${itemsMax} are allowed` };
      }
      for (const [index, item] of items.entries()) {
        const parsed = parseText(item, options);
        if (parsed.outcome === "invalid") {
          return { outcome: "invalid", message: `item ${index + 1} ${parsed.message}` };
        }
      }
      return { outcome: "ok", value: items };
    },
  };
}

/** `true` or `1`, `false` or `0`. */
export function flag(variable: string, options: Documented & Defaulted<boolean>): Setting<boolean> {
  return {
    ...base(variable, options),
    type: "true or false",
    defaultText: String(options.default),
    defaultValue: options.default,
    parse: (raw) => {
      const value = flagValues.get(raw.toLowerCase());
      return value === undefined ? { outcome: "invalid", message: "must be true or false" } : { outcome: "ok", value };
    },
  };
}

const flagValues = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** One of the named values. */
export function choice<const T extends string>(
  variable: string,
  values: readonly T[],
  options: Documented & (Defaulted<NoInfer<T>> | Required),
): Setting<T>;
export function choice<const T extends string>(
  variable: string,
  values: readonly T[],
  options: Documented,
): Setting<T | undefined>;
export function choice<const T extends string>(
  variable: string,
  values: readonly T[],
  options: Documented & Partial<Defaulted<T>> & Partial<Required>,
): Setting<T | undefined> {
  return {
    ...base(variable, options),
    type: `one of ${values.join(", ")}`,
    defaultText: options.default,
    defaultValue: options.default,
    parse: (raw) => {
      const value = values.find((candidate) => candidate === raw);
      return value === undefined
        ? { outcome: "invalid", message: `must be one of ${values.join(", ")}` }
        : { outcome: "ok", value };
    },
  };
}

function base(variable: string, options: Documented & Partial<Required>) {
  return { variable, doc: options.doc, required: options.required === true, unit: undefined };
}

function parseText(raw: string, options: Omit<TextOptions, "doc">): Parsed<string> {
  const charsMax = options.charsMax ?? textCharsMaxDefault;
  if (raw.length > charsMax) {
    return { outcome: "invalid", message: `has ${raw.length} characters; at most ${charsMax} are allowed` };
  }
  if (options.pattern !== undefined && options.pattern.exec(raw)?.[0] !== raw) {
    return { outcome: "invalid", message: `must be ${options.patternDoc ?? `text that matches ${options.pattern}`}` };
  }
  return { outcome: "ok", value: raw };
}
