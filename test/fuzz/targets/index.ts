import type { Target } from "../engine/target.ts";

/** Each is a module beside this one, loaded only by whoever runs it. */
export const targetNames = [
  "frames",
  "headers",
  "handshake",
  "mesh",
  "link",
  "splitter",
  "connect",
  "agent-messages",
  "uploads",
  "coordinator-messages",
  "participant",
  "records",
  "rest",
  "hpack",
  "h2-frames",
  "h2-server",
  "h2-client",
  "certificate-requests",
  "admission-reviews",
] as const;

/** The module of a target. Throws a `RangeError` where there is none of this name. */
export function moduleOf(name: string): string {
  if ((targetNames as readonly string[]).includes(name)) return new URL(`./${name}.ts`, import.meta.url).href;
  throw new RangeError(`there is no target ${name}; there are ${targetNames.join(", ")}`);
}

export async function loadTarget(module: string): Promise<Target> {
  const { target } = (await import(module)) as { target: Target };
  return target;
}
