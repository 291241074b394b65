/** What a span needs of the caller's `traceparent`. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;
const sampledFlag = 1;

/** W3C Trace Context, level 1. `undefined`: there is none, it is not valid, or its caller does not want it sampled. */
export function parseTraceParent(header: string | undefined): TraceParent | undefined {
  const [, version, traceId, spanId, flags, rest] = form.exec(header ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  // Later versions may have more behind the flags, the first one not.
  if (version === "ff" || (version === "00" && rest !== "")) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return (Number.parseInt(flags, 16) & sampledFlag) === 0 ? undefined : { traceId, spanId };
}
