const severities = ["error", "warning", "info"] as const;

/** One thing that is not as it should be. */
export interface Finding {
  /** error: something does not work. warning: it will not, or only in part. info: good to know. */
  readonly severity: (typeof severities)[number];
  /** CamelCase, for programs. */
  readonly code: string;
  /** `Pod shop/bank-0`. */
  readonly object: string;
  /** What is wrong with it. */
  readonly message: string;
  /** What to do. */
  readonly advice: string;
}

/** What was found out, or why it was not. */
export type Known<Value> = { readonly value: Value } | { readonly unknown: string };

/** The worst first, then by object. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const rank = ({ severity }: Finding) => severities.indexOf(severity);
  return [...findings].sort((a, b) => rank(a) - rank(b) || compare(a.object, b.object) || compare(a.code, b.code));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** For a thing that could not be looked at. */
export function notChecked(object: string, known: Known<unknown>): Finding[] {
  if (!("unknown" in known)) return [];
  return [
    {
      severity: "warning",
      code: "NotChecked",
      object,
      message: known.unknown,
      advice: "give this user the right to read it, or let somebody check who has it",
    },
  ];
}
