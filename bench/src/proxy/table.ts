/** A table for people that is Markdown, too. A first column is text; the others are right-aligned when they are numbers. */
export function tableLines(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const isRight = heads.map((_, column) => column > 0 && rows.some((row) => /^[-\d]/.test(row[column] ?? "")));
  const line = (row: readonly string[]) => {
    const padded = widths.map((width, column) => {
      const cell = row[column] ?? "";
      return isRight[column] === true ? cell.padStart(width) : cell.padEnd(width);
    });
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, column) =>
    isRight[column] === true ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  return [line(heads), line(rule), ...rows.map(line)];
}
