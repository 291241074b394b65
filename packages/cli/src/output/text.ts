/**
 * Text that came from a server can hold terminal control sequences: C0 and C1 controls, and the marks that turn the
 * direction of writing. They are shown, never obeyed.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is searched for
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The same without what JSON escapes by itself and without the line breaks that structure a text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is searched for
const unsafeInText = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** One line: every control character becomes `\n`, `\t` or `\xNN`, `\uNNNN`. */
export function escapeLine(text: string): string {
  return text.replace(unsafe, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    if (character === "\r") return "\\r";
    const code = character.charCodeAt(0);
    return code <= 0xff ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
  });
}

/** Many lines: line feeds and tabs stay, all other controls become `\uNNNN`, which JSON and YAML strings read back. */
export function escapeText(text: string): string {
  return text.replace(unsafeInText, (character) => `\\u${hex(character.charCodeAt(0), 4)}`);
}

export function hasUnsafe(text: string): boolean {
  return text.search(unsafe) >= 0;
}

/** How many character cells the text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

/** At most `cells` wide; what is cut off leaves an ellipsis. */
export function truncate(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text;
  let kept = "";
  let width = 0;
  for (const character of text) {
    width += cellsOf(character);
    if (width > cells - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

export function pad(text: string, cells: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, cells - widthOf(text)));
  return align === "left" ? text + space : space + text;
}

const combining = /^\p{M}$/u;
const wide =
  /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

function cellsOf(character: string): number {
  if (character < "\u0300") return 1;
  if (combining.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
