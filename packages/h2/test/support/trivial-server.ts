import type { AcceptedConnection, CallStream, HeaderList } from "../../src/port.ts";
import { type Http2Adapters, type Listening, listen, Recorder } from "../compliance/adapters.ts";
import { answer, trailers } from "./requests.ts";

interface TrivialCall {
  readonly path: string;
  readonly headers: HeaderList;
  readonly stream: CallStream;
  readonly events: Recorder;
}

export interface TrivialServer extends Listening {
  readonly calls: TrivialCall[];
  /** Calls ever; `calls` keeps only as many as `callsKept`. */
  readonly total: () => number;
}

export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

/**
 * What a call does depends on its path: `/done` is answered at once, `/long` with a long header,
 * `/begun` is answered and left open, `/echo` gives
 * back what comes, `/large` gets a mebibyte, `/paused` is never read, and any other is left open.
 */
export async function trivialServer(
  adapters: Http2Adapters,
  limits = {},
  callsKept = Number.POSITIVE_INFINITY,
): Promise<TrivialServer> {
  const calls: TrivialCall[] = [];
  let total = 0;
  const connection: AcceptedConnection = {
    onCall(stream, headers) {
      const path = headerValue(headers, ":path") ?? "";
      const events = path === "/echo" ? new Echo(stream) : new Recorder();
      total += 1;
      if (calls.length < callsKept) calls.push({ path, headers, stream, events });
      begin(path, stream);
      return events;
    },
  };
  const listening = await listen(adapters.createServer(limits), () => connection);
  return { ...listening, calls, total: () => total };
}

/** Too long for a table. */
const longValue = "~".repeat(600);

const large = Buffer.alloc(1024 * 1024, "x");

function begin(path: string, stream: CallStream): void {
  if (path === "/done") stream.respond([...answer, ...trailers], true);
  if (path === "/long") stream.respond([...answer, ...trailers, "x", longValue], true);
  if (path === "/begun" || path === "/echo") stream.respond(answer, false);
  if (path === "/paused") stream.pause();
  if (path === "/large") {
    stream.respond(answer, false);
    stream.write(large);
    stream.trailers(trailers);
  }
}

class Echo extends Recorder {
  readonly #stream: CallStream;

  constructor(stream: CallStream) {
    super();
    this.#stream = stream;
  }

  override onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#stream.write(chunk);
  }

  override onEnd(): void {
    super.onEnd();
    this.#stream.trailers(trailers);
  }
}
