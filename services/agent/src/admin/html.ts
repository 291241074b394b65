import type { Listing } from "./views.ts";

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 78rem; padding: 1rem 1.5rem 3rem; }
nav a { margin-right: 1.2rem; } h1 { font-size: 1.35rem; margin: 1rem 0 .25rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #8884; overflow-wrap: break-word; }
th { font-weight: 600; vertical-align: bottom; } th[scope=row] { vertical-align: top; white-space: nowrap; }
table.facts { width: auto; } .number { text-align: right; font-variant-numeric: tabular-nums; } td.number { white-space: nowrap; }
.scroll { overflow-x: auto; } .ready { color: #18794e; } .unready { color: #c62a2f; } .note { opacity: .75; }
@media (prefers-color-scheme: dark) { .ready { color: #4cc38a; } .unready { color: #ff8589; } a { color: #8ab4f8; } }
`;

const links = [
  ["/", "Overview"],
  ["/links", "Links"],
  ["/calls", "Calls"],
  ["/config", "Settings"],
  ["/metrics", "Metrics"],
  ["/healthz", "Health"],
  ["/readyz", "Readiness"],
] as const;

export function page(title: string, body: string): string {
  const nav = links.map(([path, name]) => `<a href="${path}">${name}</a>`).join("");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<nav>${nav}</nav>
<h1>${escaped(title)}</h1>
${body}
</body>
</html>
`;
}

/** One row for each pair. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): string {
  const lines = rows.map(([name, value]) => `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td></tr>`);
  return `<div class="scroll"><table class="facts">${lines.join("\n")}</table></div>`;
}

export function paragraph(text: string, style: "ready" | "unready" | "note"): string {
  return `<p class="${style}">${escaped(text)}</p>`;
}

/** A table with a column for each key of the rows. */
export function table<Row extends object>({ rows, total }: Listing<Row>, nothing: string): string {
  const [first] = rows;
  if (first === undefined) return paragraph(nothing, "note");
  const head = Object.entries(first)
    .map(([name, value]) => headCell(name, value))
    .join("");
  const body = rows.map((row) => `<tr>${Object.values(row).map(cell).join("")}</tr>`).join("\n");
  const more = total > rows.length ? paragraph(`${total - rows.length} more are not shown.`, "note") : "";
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>${more}`;
}

function headCell(name: string, value: unknown): string {
  const style = typeof value === "number" ? ' class="number"' : "";
  return `<th scope="col"${style}>${escaped(words(name))}</th>`;
}

function cell(value: unknown): string {
  if (typeof value === "number") return `<td class="number">${value}</td>`;
  const text = value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  return `<td>${escaped(text)}</td>`;
}

/** `ageMs` becomes `age ms`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
