import { ConnectionError, ErrorCode } from "../errors.ts";

/**
 * Code lengths in bits for the octets 0 to 255 and EOS (RFC 7541, appendix B). The code is canonical: within one length
 * codes rise with the octet, so the lengths tell all of it.
 */
const codeBits: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

const endOfString = 256;
const codes = canonicalCodes();

/** For each state (a node inside the code's tree) and each four bits: the next state, and the octet that is complete. */
const nextState = new Uint8Array(256 * 16);
/** -1: none yet. -2: EOS, which must not occur. */
const completed = new Int16Array(256 * 16).fill(-1);
/** States where a string may end: fewer than eight bits of padding, all of them ones. */
const mayEnd = new Uint8Array(256);
buildTables();

/** Octets of the encoded form of `text`, whose characters are octets. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += codeBits[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >>> 3;
}

/** Writes the encoded form at `at`; returns the position behind it. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const octet = text.charCodeAt(i) & 0xff;
    let bits = codeBits[octet] as number;
    let code = codes[octet] as number;
    // At most seven bits are held, and a code may have thirty: in two steps it fits 32.
    if (bits > 16) {
      held = (held << (bits - 16)) | (code >>> 16);
      heldBits += bits - 16;
      for (; heldBits >= 8; heldBits -= 8) target[at++] = held >>> (heldBits - 8);
      held &= (1 << heldBits) - 1;
      code &= 0xffff;
      bits = 16;
    }
    held = (held << bits) | code;
    heldBits += bits;
    for (; heldBits >= 8; heldBits -= 8) target[at++] = held >>> (heldBits - 8);
    held &= (1 << heldBits) - 1;
  }
  if (heldBits > 0) target[at++] = (held << (8 - heldBits)) | (0xff >>> heldBits);
  return at;
}

/** Grows to the longest string decoded so far, which the limit on header blocks bounds: no code is shorter than five bits. */
let scratch = Buffer.allocUnsafeSlow(4096);

/** Throws a compression error for EOS and for padding that is none (RFC 7541, section 5.2). */
export function huffmanDecode(source: Uint8Array, start: number, end: number): string {
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most);
  const target = scratch;
  let at = 0;
  let state = 0;
  for (let i = start; i < end; i += 1) {
    const octet = source[i] as number;
    let step = (state << 4) | (octet >>> 4);
    let symbol = completed[step] as number;
    if (symbol >= 0) target[at++] = symbol;
    else if (symbol === -2) throw new ConnectionError(ErrorCode.compressionError, "a header has EOS inside a string");
    step = ((nextState[step] as number) << 4) | (octet & 0xf);
    symbol = completed[step] as number;
    if (symbol >= 0) target[at++] = symbol;
    else if (symbol === -2) throw new ConnectionError(ErrorCode.compressionError, "a header has EOS inside a string");
    state = nextState[step] as number;
  }
  if (mayEnd[state] === 0) throw new ConnectionError(ErrorCode.compressionError, "a header's string is padded wrongly");
  return target.toString("latin1", 0, at);
}

function canonicalCodes(): Uint32Array {
  const assigned = new Uint32Array(codeBits.length);
  let code = 0;
  for (let bits = 1; bits <= 30; bits += 1) {
    for (let symbol = 0; symbol < codeBits.length; symbol += 1) {
      if (codeBits[symbol] === bits) assigned[symbol] = code++;
    }
    code *= 2;
  }
  return assigned;
}

function buildTables(): void {
  // A node's children: another node, or -1 - symbol.
  const children: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= endOfString; symbol += 1) {
    const bits = codeBits[symbol] as number;
    let node = 0;
    for (let left = bits - 1; left >= 0; left -= 1) {
      const bit = ((codes[symbol] as number) >>> left) & 1;
      const pair = children[node] as [number, number];
      if (left === 0) pair[bit] = -1 - symbol;
      else {
        if (pair[bit] === 0) pair[bit] = children.push([0, 0]) - 1;
        node = pair[bit] as number;
      }
    }
  }
  for (let state = 0; state < children.length; state += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      let node = state;
      let symbol = -1;
      for (let left = 3; left >= 0; left -= 1) {
        const child = (children[node] as [number, number])[(nibble >>> left) & 1] as number;
        if (child >= 0) node = child;
        else {
          node = 0;
          symbol = child === -1 - endOfString ? -2 : -1 - child;
        }
      }
      nextState[(state << 4) | nibble] = node;
      completed[(state << 4) | nibble] = symbol;
    }
  }
  let node = 0;
  for (let ones = 0; ones < 8; ones += 1) {
    mayEnd[node] = 1;
    node = (children[node] as [number, number])[1];
  }
}
