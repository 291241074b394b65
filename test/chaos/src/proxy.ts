import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Of a connection: from the agent that dialled, or to it. */
export type Way = "there" | "back";

/** What one way of all connections does from now on. */
export type Behaviour =
  | { readonly kind: "open" }
  /** Bytes wait in front of it, as in a network that drops packets for a while. */
  | { readonly kind: "held" }
  /** Bytes are taken and lost; nothing may come behind them but the end of the connection. */
  | { readonly kind: "swallowed" }
  | { readonly kind: "slow"; readonly pieceBytes: number; readonly pauseMs: number }
  | { readonly kind: "delayed"; readonly delayMs: number };

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
}

/** `reset`: RST, and what was on its way is lost. `closed`: FIN behind what was sent. */
export type Ending = "reset" | "closed";

/** Stands between agents, in front of one of them: carries bytes, and misbehaves as it is told. */
export class ChaosProxy {
  readonly #connections = new Set<Connection>();
  readonly #behaviour: Record<Way, Behaviour> = { there: { kind: "open" }, back: { kind: "open" } };
  #changed = Promise.withResolvers<void>();
  /** The next cut in mid-stream: after so many bytes one way. */
  #cut: { readonly way: Way; bytes: number; readonly ending: Ending; done(): void } | undefined;
  /** Connections that have ended, for whatever reason. */
  ended = 0;
  readonly #server = createServer((near) => this.#accept(near));
  readonly #port: number;

  /** `host:port` is where it listens, `127.0.0.1:port` where the agent does. */
  static async start(host: string, port: number): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(port);
    proxy.#server.listen(port, host);
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(port: number) {
    this.#port = port;
  }

  behave(way: Way, behaviour: Behaviour): void {
    this.#behaviour[way] = behaviour;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Ends every connection now. Returns how many there were. */
  breakAll(ending: Ending): number {
    const broken = this.#connections.size;
    for (const connection of [...this.#connections]) this.#end(connection, ending);
    return broken;
  }

  /** Ends the connection that next carries so many bytes, in the midst of whatever they are. Resolves when it has. */
  cutAfter(way: Way, bytes: number, ending: Ending): Promise<void> {
    return new Promise((resolve) => {
      this.#cut = { way, bytes, ending, done: resolve };
    });
  }

  /** A cut that has not come by now does not come any more. Returns whether one was still to come. */
  forgetCut(): "forgotten" | "none" {
    const outcome = this.#cut === undefined ? "none" : "forgotten";
    this.#cut?.done();
    this.#cut = undefined;
    return outcome;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.breakAll("reset");
    await once(this.#server, "close");
  }

  #accept(near: Socket): void {
    const far = connect({ host: "127.0.0.1", port: this.#port });
    const connection = { near, far };
    this.#connections.add(connection);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      // The other side hears of it by the end of this one.
      socket.on("error", () => undefined);
      socket.once("close", () => this.#end(connection, "closed"));
    }
    void this.#carry("there", near, far, connection);
    void this.#carry("back", far, near, connection);
  }

  #end(connection: Connection, ending: Ending): void {
    if (!this.#connections.delete(connection)) return;
    this.ended += 1;
    for (const socket of [connection.near, connection.far]) {
      if (ending === "reset") socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  async #carry(way: Way, from: Socket, to: Socket, connection: Connection): Promise<void> {
    try {
      for await (const chunk of from) await this.#pass(way, chunk as Buffer, to, connection);
    } catch {
      // The socket broke, which its "close" tells.
    }
  }

  async #pass(way: Way, chunk: Buffer, to: Socket, connection: Connection): Promise<void> {
    for (let behaviour = this.#behaviour[way]; behaviour.kind === "held"; behaviour = this.#behaviour[way]) {
      await this.#changed.promise;
    }
    const behaviour = this.#behaviour[way];
    if (behaviour.kind === "swallowed" || !this.#connections.has(connection)) return;
    if (behaviour.kind === "delayed") await sleep(behaviour.delayMs);
    const cut = this.#cut;
    if (cut?.way === way) {
      if (cut.bytes <= chunk.length) {
        this.#cut = undefined;
        to.write(chunk.subarray(0, cut.bytes));
        this.#end(connection, cut.ending);
        cut.done();
        return;
      }
      cut.bytes -= chunk.length;
    }
    if (behaviour.kind !== "slow") {
      await written(to, chunk);
      return;
    }
    for (let at = 0; at < chunk.length && !to.destroyed; at += behaviour.pieceBytes) {
      const isStill = this.#behaviour[way] === behaviour;
      await written(to, chunk.subarray(at, isStill ? at + behaviour.pieceBytes : undefined));
      if (!isStill) return;
      await sleep(behaviour.pauseMs);
    }
  }
}

/** With the back-pressure of a real connection. */
async function written(to: Socket, bytes: Buffer): Promise<void> {
  if (to.destroyed || to.write(bytes)) return;
  await Promise.race([once(to, "drain"), once(to, "close")]);
}
