import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { ProxyOptions } from "./options.ts";

export const performanceFile = fileURLToPath(new URL("../../../docs/performance.md", import.meta.url));

const skeleton = `# Performance

The last results of \`npm run bench:proxy\`, each below the command that repeats it. What stands between the markers is
written by \`--save\`; everything else is kept.
`;

/** Which of the results it is: each has its own block, with its own title and command. */
export function blockOf({ mode, hops, shape }: ProxyOptions): { name: string; title: string; command: string } {
  const flags = [
    ...(mode === "snapshots" ? ["--snapshots"] : []),
    ...(hops === "tls" ? ["--tls"] : []),
    ...(shape === "two-cores" ? ["--shape two-cores"] : []),
  ];
  const title = mode === "snapshots" ? "A snapshot every second" : "A pair of agents and pairs of proxies";
  const more = [...(hops === "tls" ? ["mutual TLS"] : []), ...(shape === "two-cores" ? ["two cores"] : [])];
  return {
    name: [mode, ...(hops === "tls" ? ["tls"] : []), ...(shape === "two-cores" ? ["two-cores"] : [])].join("-"),
    title: [title, ...more].join(", "),
    command: `npm run bench:proxy --${["", ...flags, "--save"].join(" ")}`,
  };
}

/** Puts the lines in place of the block's old ones, or adds the block at the end. */
export function withBlock(
  page: string,
  { name, title, command }: ReturnType<typeof blockOf>,
  lines: readonly string[],
): string {
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
  const block = [begin, "", ...lines, "", end].join("\n");
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from >= 0 && to > from) return page.slice(0, from) + block + page.slice(to + end.length);
  return `${page.trimEnd()}\n\n## ${title}\n\n\`${command}\`\n\n${block}\n`;
}

export async function saveResult(options: ProxyOptions, lines: readonly string[]): Promise<void> {
  const page = await readFile(performanceFile, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return skeleton;
    throw error;
  });
  await writeFile(performanceFile, withBlock(page, blockOf(options), lines));
}
