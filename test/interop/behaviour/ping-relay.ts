import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** The head of a PING frame on stream 0 (RFC 9113, section 6.7), up to its flags. */
const pingHead = [0, 0, 8, 6];
const headBytes = 9;

/** Passes bytes on to a port and counts the PINGs that were answered. */
export class PingRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Answers to PINGs of either side. */
  answered = 0;

  static async start(listenPort: number, targetPort: number): Promise<PingRelay> {
    const relay = new PingRelay(targetPort);
    relay.#server.listen(listenPort, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  private constructor(targetPort: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ host: "127.0.0.1", port: targetPort, noDelay: true });
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        // 'close' follows, and ends the other one, too.
        socket.on("error", () => undefined);
        socket.on("close", () => {
          this.#sockets.delete(socket);
          (socket === near ? far : near).destroy();
        });
      }
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on("data", (chunk) => {
          this.answered += answersIn(chunk);
        });
        from.pipe(to);
      }
    });
  }

  /** Cuts every connection; resolves when the port is free again. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A frame that is cut in two is not counted; that there are many is all that matters. */
function answersIn(chunk: Buffer): number {
  const head = Buffer.from([...pingHead, 1, 0, 0, 0, 0]);
  let found = 0;
  for (let at = chunk.indexOf(head); at >= 0; at = chunk.indexOf(head, at + headBytes)) found += 1;
  return found;
}
