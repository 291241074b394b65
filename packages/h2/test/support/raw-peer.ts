import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { ErrorCode } from "../../src/errors.ts";
import { Flag, FrameType, preface } from "../../src/frames/constants.ts";
import { until } from "../compliance/adapters.ts";
import { type Frame, FrameParser, wire } from "./wire.ts";

const names = new Map<number, string>(Object.entries(ErrorCode).map(([name, code]) => [code, name]));

function codeName(code: number): string {
  return names.get(code) ?? String(code);
}

/** One end of a connection that says whatever a test says, and notes every frame that comes back. */
export class RawPeer {
  readonly socket: Socket;
  frames: Frame[] = [];
  receivedBytes = 0;
  sentBytes = 0;
  isClosed = false;
  /** Frames are forgotten as they come; only bytes are counted. */
  countsOnly = false;
  readonly #parser = new FrameParser();
  #prefaceLeft: number;
  #pings = 0;

  constructor(socket: Socket, side: "client" | "server") {
    this.socket = socket;
    this.#prefaceLeft = side === "server" ? preface.length : 0;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    // What a connection that is cut says is not what is looked at here; that it is cut is.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  /** A client of a server at `port`. Sends the preface and SETTINGS unless `greeting` is other bytes. */
  static async connect(port: number, greeting: Buffer = Buffer.concat([preface, wire.settings()])): Promise<RawPeer> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const peer = new RawPeer(socket, "client");
    await once(socket, "connect");
    peer.send(greeting);
    return peer;
  }

  send(...parts: Buffer[]): boolean {
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    this.sentBytes += bytes.length;
    return this.socket.writable ? this.socket.write(bytes) : true;
  }

  /** Sends, and waits until the socket has taken it, or has gone. */
  async sendAll(bytes: Buffer): Promise<void> {
    if (this.send(bytes)) return;
    await Promise.race([once(this.socket, "drain"), once(this.socket, "close")]).catch(() => undefined);
  }

  /** Resolves when the other side has processed everything sent so far and said what it had to say, or is gone. */
  async settled(): Promise<"open" | "closed"> {
    for (let round = 0; round < 2 && !this.isClosed; round += 1) {
      const opaque = `ping${this.#pings++}`.padEnd(8);
      this.send(wire.ping(opaque));
      const isAnswer = (f: Frame) =>
        f.type === FrameType.ping && (f.flags & Flag.ack) !== 0 && f.payload.toString("latin1") === opaque;
      await until("the answer to a PING", () => this.isClosed || this.frames.some(isAnswer));
    }
    return this.isClosed ? "closed" : "open";
  }

  async closed(): Promise<void> {
    await until("the connection is closed", () => this.isClosed);
  }

  /** Errors that the other side has told, in order: `goaway protocolError`, `rst 1 streamClosed`. */
  get errors(): string[] {
    const errors: string[] = [];
    for (const { type, streamId, payload } of this.frames) {
      if (type === FrameType.goaway) errors.push(`goaway ${codeName(payload.readUInt32BE(4))}`);
      if (type === FrameType.rstStream) errors.push(`rst ${streamId} ${codeName(payload.readUInt32BE(0))}`);
    }
    return errors;
  }

  get goawayCode(): number | undefined {
    return this.frames.find(({ type }) => type === FrameType.goaway)?.payload.readUInt32BE(4);
  }

  /** The stream has been ended by the other side. */
  hasEnded(streamId: number): boolean {
    return this.frames.some(
      ({ type, flags, streamId: id }) =>
        id === streamId &&
        (type === FrameType.rstStream ||
          ((type === FrameType.headers || type === FrameType.data) && (flags & Flag.endStream) !== 0)),
    );
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    const skipped = Math.min(this.#prefaceLeft, chunk.length);
    this.#prefaceLeft -= skipped;
    const frames = this.#parser.feed(chunk.subarray(skipped));
    for (const one of frames) if (!this.countsOnly || one.type === FrameType.goaway) this.frames.push(one);
  }
}

export interface RawListener {
  readonly port: number;
  /** Connections so far, in order. */
  readonly peers: RawPeer[];
  close(): Promise<void>;
}

/** A server that says nothing by itself. */
export async function rawListener(onPeer: (peer: RawPeer) => void = () => {}): Promise<RawListener> {
  const peers: RawPeer[] = [];
  const server: Server = createServer({ noDelay: true }, (socket) => {
    const peer = new RawPeer(socket, "server");
    peers.push(peer);
    onPeer(peer);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    async close() {
      for (const peer of peers) peer.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
