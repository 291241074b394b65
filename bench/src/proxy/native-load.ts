import type { Case } from "./cases.ts";
import { type LoadResult, runLoad, type Sample } from "./load-run.ts";
import type { NativePrograms } from "./native.ts";
import type { Pair } from "./pair.ts";
import type { ProgramSpec } from "./program.ts";
import type { Surroundings } from "./workshop.ts";

const slackMs = 20_000;

/** What calls are made to. */
export const callPath = "/bench.v1.Echo/Call";

export function nativeLoadSpec(
  { load }: Pick<NativePrograms, "load">,
  core: number,
  { port, authority }: Pick<Pair, "port" | "authority">,
  { name, kind, messageBytes, underWay }: Case,
  { warmUpMs, durationMs }: { readonly warmUpMs: number; readonly durationMs: number },
): ProgramSpec {
  const [calls, messages] = kind === "flow" ? [1, underWay] : [underWay, 1];
  const numbers = [messageBytes, calls, messages, kind === "unary" ? 1 : 0, warmUpMs, durationMs];
  const command = [load, "127.0.0.1", String(port), authority, callPath, ...numbers.map(String)] as const;
  return { name: `load of ${name} on ${authority}`, command, core };
}

/** Messages on streams that last, or unary calls whose every answer is looked at. */
export async function loadNatively(
  { path, placement }: Surroundings,
  { load }: NativePrograms,
  { port, authority }: Pick<Pair, "port" | "authority">,
  one: Case,
  warmUpMs: number,
  durationMs: number,
  sample: Sample,
): Promise<LoadResult> {
  const spec = nativeLoadSpec({ load }, placement.load, { port, authority }, one, { warmUpMs, durationMs });
  const timeoutMs = warmUpMs + durationMs + slackMs;
  const lines = await runLoad({ spec, began: "began", ended: "ended", timeoutMs }, path, sample);
  return JSON.parse(lines.at(-1) ?? "") as LoadResult;
}
