import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { TlsProblem } from "./errors.ts";

/**
 * How a dialler tells why it does not accept the certificate it was shown, where the protocol inside of TLS has no word
 * for it: one line instead of that protocol, and the end.
 */
const beginning = "cutline-refusal ";
const lineBytesMax = 1_024;
/** How long the other side has to read it. */
const farewellMs = 1_000;

export function sendRefusal(socket: TLSSocket, { code, message }: TlsProblem): void {
  socket.on("error", () => undefined); // It was told; how it takes it is its own affair.
  socket.resume();
  socket.end(`${beginning}${code} ${message.replaceAll(/[\r\n]/g, " ")}`.slice(0, lineBytesMax - 1).concat("\n"));
  setTimeout(() => socket.destroy(), farewellMs).unref();
}

/**
 * Looks whether a refusal comes. `onKnown` gets it, and the connection is over then; or it gets `undefined`, and every
 * byte is still to be read. It is not called when nothing comes within `timeoutMs`: the connection is closed.
 */
export function readRefusal(
  socket: Socket,
  timeoutMs: number,
  onKnown: (refusal: TlsProblem | undefined) => void,
): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const over = () => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", over);
    socket.off("close", over);
  };
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, beginning.length);
    if (seen.toString("latin1", 0, compared) !== beginning.slice(0, compared)) {
      over();
      socket.unshift(seen);
      onKnown(undefined);
      return;
    }
    const end = seen.indexOf("\n");
    if (end < 0 && seen.length < lineBytesMax) return;
    over();
    const [code = "", ...words] = seen.toString("utf8", beginning.length, end < 0 ? lineBytesMax : end).split(" ");
    onKnown({ code, message: words.join(" ") });
    socket.destroy();
  };
  socket.on("error", () => undefined); // 'close' follows, and is enough.
  socket.on("readable", look);
  socket.on("end", over);
  socket.on("close", over);
}
