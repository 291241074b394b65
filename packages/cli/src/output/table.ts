import type { Colour, Paint } from "./palette.ts";
import { escapeLine, pad, truncate, widthOf } from "./text.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut down to this many cells when the terminal is too narrow; without it the column is never cut. */
  readonly cellsMin?: number;
}

export type Cell = string | { readonly text: string; readonly colour: Colour | undefined };

export interface TableStyle {
  readonly paint: Paint;
  /** Cells to fit into; `undefined`: as wide as need be, for files and pipes. */
  readonly columns: number | undefined;
  readonly indent?: number;
}

const gapCells = 3;

/** Rows under titles, aligned. Control characters in cells are escaped here, so that no caller can forget it. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], style: TableStyle): string {
  const texts = rows.map((row) => columns.map((_, at) => escapeLine(textOf(row[at] ?? ""))));
  const widths = columns.map((column, at) => {
    let width = widthOf(column.title);
    for (const row of texts) width = Math.max(width, widthOf(row[at] ?? ""));
    return width;
  });
  const indent = " ".repeat(style.indent ?? 0);
  if (style.columns !== undefined) fit(columns, widths, style.columns - indent.length);

  const line = (cells: readonly string[], paint: (at: number, text: string) => string) => {
    const padded = cells.map((cell, at) => {
      const cut = truncate(cell, widths[at] ?? 0);
      const align = columns[at]?.align ?? "left";
      const isLast = at === cells.length - 1;
      const text = isLast && align === "left" ? cut : pad(cut, widths[at] ?? 0, align);
      return paint(at, text);
    });
    return `${indent}${padded.join(" ".repeat(gapCells))}`.trimEnd();
  };
  const titles = line(
    columns.map((column) => column.title),
    (_, text) => style.paint("bold", text),
  );
  const body = texts.map((row, index) =>
    line(row, (at, text) => {
      const cell = rows[index]?.[at];
      const colour = typeof cell === "object" ? cell.colour : undefined;
      return colour === undefined ? text : style.paint(colour, text);
    }),
  );
  return `${[titles, ...body].join("\n")}\n`;
}

/** Takes what is too much from the widest column that may shrink, cell by cell, until all fit or none may shrink. */
function fit(columns: readonly Column[], widths: number[], cells: number): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) + gapCells * (columns.length - 1) - cells;
  while (excess > 0) {
    let widest = -1;
    for (const [at, column] of columns.entries()) {
      const width = widths[at] ?? 0;
      if (column.cellsMin === undefined || width <= column.cellsMin) continue;
      if (widest < 0 || width > (widths[widest] ?? 0)) widest = at;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}
