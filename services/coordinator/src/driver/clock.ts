/** Milliseconds since 1970 that never go back: the wall clock at the program's start, and time passed since. */
export function nowMs(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}

/** RFC 3339, UTC; empty for `undefined`. */
export function timeText(ms: number | undefined): string {
  return ms === undefined ? "" : new Date(ms).toISOString();
}

/** `undefined` for the empty text and for what is no time. */
export function timeOf(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
