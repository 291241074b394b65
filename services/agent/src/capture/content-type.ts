/** Of a state whose source does not say. */
export const defaultContentType = "application/octet-stream";

/** Longest content type that is kept, in characters. */
const contentTypeCharsMax = 256;

/** The header as it came, or the default where it is missing, longer than the limit or not printable ASCII. */
export function contentTypeOf(header: string | undefined): string {
  const value = header?.trim() ?? "";
  return /^[\x20-\x7e]+$/.test(value) && value.length <= contentTypeCharsMax ? value : defaultContentType;
}
