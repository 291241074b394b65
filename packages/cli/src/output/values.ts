const msPerSecond = 1000;
const msPerMinute = 60 * msPerSecond;
const msPerHour = 60 * msPerMinute;
const msPerDay = 24 * msPerHour;

/** How long ago, in the coarsest unit that still says something: `45s`, `12m`, `30h`, `9d`. `-` for no time. */
export function formatAge(since: string, nowMs: number): string {
  const sinceMs = Date.parse(since);
  if (Number.isNaN(sinceMs)) return "-";
  // The server's clock may be ahead of this one.
  const ageMs = Math.max(0, nowMs - sinceMs);
  if (ageMs < 2 * msPerMinute) return `${Math.floor(ageMs / msPerSecond)}s`;
  if (ageMs < 2 * msPerHour) return `${Math.floor(ageMs / msPerMinute)}m`;
  if (ageMs < 2 * msPerDay) return `${Math.floor(ageMs / msPerHour)}h`;
  return `${Math.floor(ageMs / msPerDay)}d`;
}

/** `850µs`, `12.4ms`, `3.2s`, `4m05s`. */
export function formatDurationUs(us: number): string {
  if (us < 1000) return `${Math.round(us)}µs`;
  if (us < 1_000_000) return `${shortest(us / 1000)}ms`;
  if (us < 120_000_000) return `${shortest(us / 1_000_000)}s`;
  const seconds = Math.round(us / 1_000_000);
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}s`;
}

export function formatDurationMs(ms: number): string {
  return ms === 0 ? "0s" : formatDurationUs(ms * 1000);
}

/** `0 B`, `980 B`, `1.5 KiB`, `12 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : shortest(value)} ${units[unit]}`;
}

/** `1 frame`, `2 frames`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

export function formatPairs(pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

function shortest(value: number): string {
  return value < 10 ? String(Math.round(value * 10) / 10) : String(Math.round(value));
}
