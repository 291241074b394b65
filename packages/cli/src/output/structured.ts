import { Document, isScalar, Scalar, visit } from "yaml";
import { escapeText, hasUnsafe } from "./text.ts";

/** JSON for programs; harmless on a terminal too, and still the same values. */
export function formatJson(value: unknown): string {
  return `${escapeText(JSON.stringify(value, undefined, 2))}\n`;
}

export function formatYaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  // Only a double-quoted scalar knows escapes.
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === "string" && hasUnsafe(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
    Pair: (_, pair) => {
      if (isScalar(pair.key) && typeof pair.key.value === "string" && hasUnsafe(pair.key.value)) {
        pair.key.type = Scalar.QUOTE_DOUBLE;
      }
    },
  });
  return escapeText(document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER }));
}
