import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** What one who holds a connection for as long as he can has sent when he begins to dawdle. */
export const slowBeginnings = {
  "nothing, not even a handshake": undefined,
  "no request": "",
  "half a line": "POST /",
  "no body": request("Content-Length: 30000"),
  "an endless body": request("Transfer-Encoding: chunked"),
} as const;

function request(header: string): string {
  return `POST /PATH HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${header}\r\n\r\n`;
}

/** A byte or chunk every so often, so that no time-out of a silent connection hits. */
const dripMs = 50;

/** Resolves when the other side has ended it. */
export async function sendSlowly(port: number, path: string, text: string | undefined, secure = true): Promise<void> {
  const where = { host: "127.0.0.1", port };
  const isTls = secure && text !== undefined;
  const socket: Socket = isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
  // It is cut off, however that is seen here.
  socket.on("error", () => undefined);
  socket.resume();
  const begun = text?.replace("/PATH", path) ?? "";
  if (begun !== "") socket.write(begun);
  const drip = begun.includes("chunked") ? "1\r\n \r\n" : " ";
  const timer = begun === "" ? undefined : setInterval(() => socket.write(drip), dripMs);
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  clearInterval(timer);
}
