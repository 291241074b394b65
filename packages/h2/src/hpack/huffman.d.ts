/** Octets of the encoded form of `text`, whose characters are octets. */
export declare function huffmanBytes(text: string): number;
/** Writes the encoded form at `at`; returns the position behind it. */
export declare function huffmanEncode(text: string, target: Uint8Array, at: number): number;
/** Throws a compression error for EOS and for padding that is none (RFC 7541, section 5.2). */
export declare function huffmanDecode(source: Uint8Array, start: number, end: number): string;
