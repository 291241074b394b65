/**
 * `unary`: calls of one message. `pingpong`: streams that last, with one message each under way. `flow`: one stream
 * that lasts, with many messages under way. These have load and echo programs in C. `grpcjs`: unary calls with
 * @grpc/grpc-js at both ends, as users have it.
 */
const caseKinds = ["unary", "pingpong", "flow", "grpcjs"] as const;
type CaseKind = (typeof caseKinds)[number];

export interface Case {
  /** `KIND-SIZE@UNDERWAY`, as in `unary-10k@16`. */
  readonly name: string;
  readonly kind: CaseKind;
  readonly messageBytes: number;
  /** Calls, streams or messages of one stream that are under way at any time. */
  readonly underWay: number;
}

/** Which programs stand at both ends. */
export type Ends = "c" | "grpc-js";

export const endsOf = ({ kind }: Case): Ends => (kind === "grpcjs" ? "grpc-js" : "c");

const messageBytesMax = 1_048_576;
/** What all of the ways allow on one connection. */
const underWayMax = 500;

export const defaultCases: readonly Case[] = [
  ...["unary-100", "unary-10k"].flatMap((what) => [1, 16, 64].map((underWay) => `${what}@${underWay}`)),
  ...["pingpong-100@1", "pingpong-100@16", "flow-100@64", "flow-10k@16"],
  ...[1, 16, 64].map((underWay) => `grpcjs-100@${underWay}`),
].flatMap((name) => parseCase(name) ?? []);

/** One case, or `undefined` when it is no name of one. */
function parseCase(name: string): Case | undefined {
  const { kind, size, kibi, underWay } =
    /^(?<kind>[a-z]+)-(?<size>\d+)(?<kibi>k?)@(?<underWay>\d+)$/.exec(name)?.groups ?? {};
  const known = caseKinds.find((one) => one === kind);
  const one = { messageBytes: Number(size) * (kibi === "k" ? 1_024 : 1), underWay: Number(underWay) };
  const isWithin = (value: number, max: number) => value >= 1 && value <= max;
  if (known === undefined || !isWithin(one.messageBytes, messageBytesMax) || !isWithin(one.underWay, underWayMax)) {
    return undefined;
  }
  return { name, kind: known, ...one };
}

/** A list of names; a beginning (`unary`, `unary-100`) stands for the default cases that begin with it. */
export function parseCases(list: string): readonly Case[] | { readonly wrong: string } {
  const found = new Map<string, Case>();
  for (const name of list.split(",")) {
    const exact = parseCase(name);
    const those = exact === undefined ? defaultCases.filter((one) => isBeginning(name, one.name)) : [exact];
    if (those.length === 0) return { wrong: name };
    for (const one of those) found.set(one.name, one);
  }
  return [...found.values()];
}

function isBeginning(name: string, of: string): boolean {
  return name !== "" && (of.startsWith(`${name}-`) || of.startsWith(`${name}@`));
}
