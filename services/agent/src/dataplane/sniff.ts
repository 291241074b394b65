import type { Socket } from "node:net";

/** What the next bytes of a socket are. All but the head stays in the socket, to be read by whoever takes it over. */
export type Sniffed =
  | { readonly outcome: "http2" }
  /** An HTTP/1 head, without its empty line, as latin1; what follows stays in the socket. */
  | { readonly outcome: "head"; readonly head: string }
  | { readonly outcome: "headTooLong" | "tls" | "other" | "closed" | "timeout" };

export interface SniffOptions {
  /** 0: only HTTP/2 is told from the rest, nothing is read away. */
  readonly headBytesMax: number;
  readonly timeoutMs: number;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const tlsHandshake = 0x16;
const longestMethodBytes = 16;

/** Reads until it is clear what comes, and gives back what is not consumed. Never rejects; an error is `closed`. */
export function sniff(socket: Socket, options: SniffOptions): Promise<Sniffed> {
  return new Promise((resolve) => {
    let seen: Buffer = Buffer.alloc(0);
    const finish = (sniffed: Sniffed) => {
      clearTimeout(timer);
      socket.off("readable", read);
      socket.off("end", ended);
      socket.off("close", ended);
      // Behind the end nothing can be given back, and nobody reads on.
      if (seen.length > 0 && !socket.destroyed && sniffed.outcome !== "closed") socket.unshift(seen);
      resolve(sniffed);
    };
    const read = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const sniffed = judge(seen, options.headBytesMax);
      if (sniffed === undefined) return;
      if (sniffed.outcome === "head") seen = seen.subarray(sniffed.head.length + 4);
      finish(sniffed);
    };
    const ended = () => finish({ outcome: "closed" });
    const timer = setTimeout(() => finish({ outcome: "timeout" }), options.timeoutMs);
    socket.on("readable", read);
    socket.on("end", ended);
    socket.on("close", ended);
  });
}

/** `undefined`: more bytes are needed. */
function judge(seen: Buffer, headBytesMax: number): Sniffed | undefined {
  const compared = Math.min(seen.length, preface.length);
  if (seen.compare(preface, 0, compared, 0, compared) === 0) {
    return compared === preface.length ? { outcome: "http2" } : undefined;
  }
  if (headBytesMax === 0) return { outcome: "other" };
  if (seen[0] === tlsHandshake) return { outcome: "tls" };
  if (!looksLikeRequest(seen)) return { outcome: "other" };
  const end = seen.indexOf("\r\n\r\n");
  if (end < 0 ? seen.length > headBytesMax : end + 4 > headBytesMax) return { outcome: "headTooLong" };
  return end < 0 ? undefined : { outcome: "head", head: seen.toString("latin1", 0, end) };
}

/** A method in capitals, as far as it has come. */
function looksLikeRequest(seen: Buffer): boolean {
  const blank = seen.indexOf(" ");
  const method = seen.toString("latin1", 0, Math.min(blank < 0 ? seen.length : blank, longestMethodBytes + 1));
  return method.length <= longestMethodBytes && /^[A-Z]+$/.test(method);
}
