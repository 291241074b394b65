import { ClientPool, defaultPoolOptions } from "../client-pool.ts";
import {
  type CallEvents,
  type CallStream,
  defaultHttp2Limits,
  type HeaderList,
  type Http2Client,
  type Http2ClientOptions,
  type Http2Limits,
} from "../port.ts";
import { ClientCall } from "./client-call.ts";
import { ClientConnection, type ConnectionEvents } from "./connection.ts";

/** HTTP/2 with prior knowledge by node:http2. */
export function createNodeHttp2Client(options: Http2ClientOptions): Http2Client {
  return new NodeHttp2Client({
    ...defaultPoolOptions,
    ...options,
    limits: { ...defaultHttp2Limits, ...options.limits },
  });
}

type NodeHttp2ClientOptions = Required<Omit<Http2ClientOptions, "limits" | "meter" | "held" | "onConnectionLost">> & {
  readonly limits: Http2Limits;
};

class NodeHttp2Client extends ClientPool<ClientCall, ClientConnection> {
  readonly #options: NodeHttp2ClientOptions;
  readonly #calls = new Set<ClientCall>();

  constructor(options: NodeHttp2ClientOptions) {
    super(options);
    this.#options = options;
  }

  get openStreams(): number {
    return this.#calls.size;
  }

  open(headers: HeaderList, endStream: boolean, events: CallEvents): CallStream {
    const call = new ClientCall(headers, endStream, events, this.#onCallOver);
    this.#calls.add(call);
    this.place(call);
    return call;
  }

  protected connect(): void {
    this.connections.add(new ClientConnection(this.#options, this.#connectionEvents));
  }

  protected flushing(): () => "flushed" | "pending" {
    const targets = [...this.#calls].map((call) => ({ call, writes: call.writes }));
    const isFlushed = ({ call, writes }: { call: ClientCall; writes: number }) =>
      call.isOver || (!call.isWaiting && call.flushed >= writes);
    return () => (targets.every(isFlushed) ? "flushed" : "pending");
  }

  readonly #onCallOver = (call: ClientCall): void => {
    this.#calls.delete(call);
    this.waiting.delete(call);
  };

  readonly #connectionEvents: ConnectionEvents = {
    onReady: () => this.ready(),
    onRoomChanged: () => this.roomChanged(),
    onFailed: (connection, reason) => this.lost(connection, "never", reason),
    onClosed: (connection, reason) => this.lost(connection, "open", reason),
  };
}
