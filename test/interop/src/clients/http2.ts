import { createHash } from "node:crypto";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { Deframer, decodeStatusMessage, frame } from "../framing.ts";
import type { CallScript, ClientScript, Pair, SeenCall, SeenMessage } from "../script.ts";
import { type Channel, type ClientCall, Counter } from "./channel.ts";

const cancelled = 1;
const deadlineExceeded = 4;
const windowBytes = 1024 * 1024;
/** For a thousand large calls at a time; node:http2 begins to refuse streams beyond it. */
const sessionMemoryMegabytesMax = 2_000;

/** A connection of node:http2 with gRPC by hand on it, to the server or through an agent. */
export async function openHttp2Channel(script: ClientScript): Promise<Channel> {
  const { target, via } = script;
  const socket = via === undefined ? dial(target) : await throughAgent(target, via);
  const session = connect(`http://${target}`, {
    createConnection: () => socket,
    settings: { initialWindowSize: windowBytes },
    maxSessionMemory: sessionMemoryMegabytesMax,
  });
  // What goes wrong shows on each stream.
  session.on("error", () => undefined);
  return {
    open: (call) => new Http2Call(session, target, call),
    close: () => session.close(),
  };
}

function dial(target: string): Socket {
  const [host = "", port] = target.split(":");
  return connectSocket({ host, port: Number(port), noDelay: true });
}

/** `connect`: asks the agent for a way to the target. `authority`: speaks with the agent as if it were the target. */
export async function throughAgent(target: string, via: NonNullable<ClientScript["via"]>): Promise<Socket> {
  const socket = dial(`127.0.0.1:${via.agentPort}`);
  if (via.how === "authority") return socket;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  let answer = "";
  while (!answer.includes("\r\n\r\n")) {
    const [chunk] = await once(socket, "data");
    answer += String(chunk);
  }
  if (!/^HTTP\/1\.1 200 .*\r\n\r\n$/s.test(answer)) throw new Error(`the agent answered CONNECT with ${answer}`);
  return socket;
}

class Http2Call implements ClientCall {
  readonly #stream: ClientHttp2Stream;
  readonly #arrived = new Counter();
  readonly #messages: SeenMessage[] = [];
  readonly #deframer = new Deframer();
  readonly #ended = Promise.withResolvers<SeenCall>();
  #headers: readonly Pair[] | null = null;
  #trailers: readonly Pair[] = [];
  /** What the client itself has ended the call with. */
  #own: { readonly code: number; readonly details: string } | undefined;

  constructor(session: ClientHttp2Session, authority: string, script: CallScript) {
    const { path, metadata = [], timeoutMs, compression } = script;
    const fields: Pair[] = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", authority],
      ["te", "trailers"],
      ["content-type", "application/grpc"],
      ["grpc-accept-encoding", "identity,gzip"],
    ];
    if (timeoutMs !== undefined) fields.push(["grpc-timeout", `${timeoutMs}m`]);
    if (compression !== undefined) fields.push(["grpc-encoding", compression]);
    // Unpadded, as gRPC writes binary values.
    for (const [name, value] of metadata) fields.push([name, name.endsWith("-bin") ? value.replace(/=+$/, "") : value]);
    this.#stream = session.request(fields.flat());
    if (timeoutMs !== undefined) {
      const timer = setTimeout(() => this.#abort(deadlineExceeded, "deadline exceeded"), timeoutMs);
      this.#stream.once("close", () => clearTimeout(timer));
    }
    this.#watch();
  }

  send(bytes: Uint8Array, compression: "gzip" | "none"): void {
    this.#stream.write(frame(bytes, compression));
  }

  receive(): Promise<void> {
    return this.#arrived.next();
  }

  halfClose(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#abort(cancelled, "cancelled");
  }

  end(): Promise<SeenCall> {
    return this.#ended.promise;
  }

  #abort(code: number, details: string): void {
    this.#own ??= { code, details };
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #watch(): void {
    const stream = this.#stream;
    stream.on("response", (_headers, _flags, raw) => {
      this.#headers = pairsOf(raw);
    });
    stream.on("trailers", (_headers, _flags, raw) => {
      this.#trailers = pairsOf(raw);
    });
    stream.on("data", (chunk: Buffer) => {
      this.#deframer.push(chunk, ({ bytes, flag }) => {
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        this.#messages.push({ bytes: bytes.length, sha256, flag });
        this.#arrived.count();
      });
    });
    // 'close' follows, with the code.
    stream.on("error", () => undefined);
    stream.on("close", () => {
      this.#arrived.close();
      this.#ended.resolve({
        headers: this.#headers,
        messages: this.#messages,
        ...this.#status(),
        trailers: this.#trailers,
      });
    });
  }

  #status(): { code: number; details: string } {
    if (this.#own !== undefined) return this.#own;
    const find = (name: string) => [...this.#trailers, ...(this.#headers ?? [])].find(([key]) => key === name)?.[1];
    const code = find("grpc-status");
    if (code === undefined) return { code: 13, details: `no status; the stream ended with ${this.#stream.rstCode}` };
    if (this.#deframer.isInsideMessage) return { code: 13, details: "the answer ends inside a message" };
    return { code: Number(code), details: decodeStatusMessage(find("grpc-message") ?? "") };
  }
}

function pairsOf(raw: readonly string[]): Pair[] {
  const pairs: Pair[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return pairs;
}
