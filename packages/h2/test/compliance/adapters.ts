import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import type {
  AcceptedConnection,
  CallEvents,
  CallStream,
  HeaderList,
  Http2Client,
  Http2Limits,
  Http2Server,
  ResetCause,
} from "../../src/port.ts";

/** What a second implementation of the port hands to the suite. */
export interface Http2Adapters {
  readonly name: string;
  createServer(limits?: Partial<Http2Limits>): Http2Server;
  createClient(options: ClientOptions): Http2Client;
}

export interface ClientOptions {
  readonly host: string;
  readonly port: number;
  readonly limits?: Partial<Http2Limits>;
  readonly connectTimeoutMs?: number;
  readonly connectionsMax?: number;
  readonly waitingCallsMax?: number;
  readonly barrierTimeoutMs?: number;
}

export interface Listening {
  readonly port: number;
  readonly http2Server: Http2Server;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

/** An HTTP/2 server behind a listener of its own. */
export async function listen(
  http2Server: Http2Server,
  connection: (socket: Socket) => AcceptedConnection,
): Promise<Listening> {
  const sockets = new Set<Socket>();
  const listener: Server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    http2Server.accept(socket, connection(socket));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    http2Server,
    sockets,
    async close() {
      listener.close();
      await http2Server.close(0);
    },
  };
}

/** Carries every call from the server to the client and back, as a proxy does. */
export function passThrough(client: Http2Client): AcceptedConnection {
  return {
    onCall(near, headers, endStream) {
      const far = client.open(headers, endStream, {
        onHeaders: (answer, end) => near.respond(answer, end),
        onData: (chunk) => {
          if (near.write(chunk) === "full") far.pause();
        },
        onTrailers: (trailers) => near.trailers(trailers),
        onEnd: () => near.end(),
        onReset: (code) => near.reset(code),
        onDrain: () => near.resume(),
      });
      return {
        onHeaders() {},
        onData: (chunk) => {
          if (far.write(chunk) === "full") near.pause();
        },
        onTrailers: () => far.end(),
        onEnd: () => far.end(),
        onReset: (code) => far.reset(code),
        onDrain: () => far.resume(),
      };
    },
  };
}

/** Notes what happens on a stream. */
export class Recorder implements CallEvents {
  readonly log: string[] = [];
  readonly chunks: Buffer[] = [];
  headers: HeaderList = [];
  trailers: HeaderList = [];
  reset: { code: number; cause: ResetCause } | undefined;
  stream: CallStream | undefined;
  bytes = 0;

  onHeaders(headers: HeaderList, endStream: boolean): void {
    this.headers = headers;
    this.log.push(endStream ? "headers+end" : "headers");
  }

  onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.chunks.push(Buffer.from(chunk));
    if (this.log.at(-1) !== "data") this.log.push("data");
  }

  onTrailers(headers: HeaderList): void {
    this.trailers = headers;
    this.log.push("trailers");
  }

  onEnd(): void {
    this.log.push("end");
  }

  onReset(code: number, cause: ResetCause): void {
    this.reset = { code, cause };
    this.log.push(`reset ${code} ${cause}`);
  }

  onDrain(): void {
    this.log.push("drain");
  }

  get isOver(): boolean {
    return this.log.some((line) => /^(headers\+end|trailers|end|reset .*)$/.test(line));
  }
}

export const requestHeaders: HeaderList = [
  ":method",
  "POST",
  ":scheme",
  "http",
  ":path",
  "/test.Service/Call",
  ":authority",
  "service.test:80",
  "content-type",
  "application/grpc",
  "te",
  "trailers",
];

const conditionTimeoutMs = 20_000;

/** Waits for a condition; `what` is said when it does not come true. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + conditionTimeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still waiting after ${conditionTimeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
