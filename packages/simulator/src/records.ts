/** The texts of stored parts. The checkers read them with a reader of their own. */
export interface KeptPiece {
  readonly number: number;
  readonly unit: number;
  readonly piece: number;
}

/** `number unit piece`, a line each. */
export function channelContent(pieces: readonly KeptPiece[]): string {
  return pieces.map(({ number, unit, piece }) => `${number} ${unit} ${piece}`).join("\n");
}

/** `unit piece`, a line each. */
export function outboxContent(pieces: readonly { unit: number; piece: number }[]): string {
  return pieces.map(({ unit, piece }) => `${unit} ${piece}`).join("\n");
}

/** One token a line. */
export function stateContent(tokens: Iterable<string>): string {
  return [...tokens].sort().join("\n");
}

/** One call a line. */
export function callsContent(calls: Iterable<string>): string {
  return [...calls].sort().join("\n");
}

/** FNV-1a twice, in hexadecimal: enough to tell one part from another here. */
export function digestOf(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1000193;
  for (let i = 0; i < text.length; i += 1) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(i), 0x85ebca6b) + i;
  }
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0");
}
