import type { CallEvents, CallStream, HeaderList, Http2Client } from "@cutline/h2";
import type { EnvironmentPeer } from "@cutline/proto/snapshot";
import { type CallBook, environmentPeer } from "../metrics/call-book.ts";
import { GrpcStatus, statusAnswer, statusTrailers } from "./call/answers.ts";
import { headerValue } from "./link/headers.ts";

type Direction = "inbound" | "outbound";

interface PeerCounts {
  calls: number;
  openCalls: number;
}

/** Peers counted by name; beyond it they are counted together as `other`. */
const peersMax = 1_000;

/** Counts calls with peers that have no agent: they make a snapshot partial, and are named in it. */
export class EnvironmentLedger {
  /** Calls that began since the start, tunnels and those that found nobody too. */
  readonly begun = { inbound: 0, outbound: 0 };
  readonly #peers = new Map<string, PeerCounts>();

  /** Counts a call that begins; one of the functions returned is to be called when it ends. */
  count(authority: string, direction: Direction): CountedCall {
    this.begun[direction] += 1;
    let key = `${direction} ${authority}`;
    if (!this.#peers.has(key) && this.#peers.size >= peersMax) key = `${direction} other`;
    const counts = this.#peers.get(key) ?? { calls: 0, openCalls: 0 };
    this.#peers.set(key, counts);
    counts.calls += 1;
    counts.openCalls += 1;
    return {
      ended() {
        counts.openCalls -= 1;
      },
      neverWas: () => {
        counts.openCalls -= 1;
        counts.calls -= 1;
        if (counts.calls === 0) this.#peers.delete(key);
      },
    };
  }

  /** Calls that peers without an agent have open into the application. */
  get openInbound(): number {
    let open = 0;
    for (const [key, counts] of this.#peers) if (key.startsWith("inbound ")) open += counts.openCalls;
    return open;
  }

  /** Calls that this peer has open into the application. */
  openFrom(peer: string): number {
    return this.#peers.get(`inbound ${peer}`)?.openCalls ?? 0;
  }

  peers(): EnvironmentPeer[] {
    return [...this.#peers].map(([key, { calls, openCalls }]) => {
      const [direction = "", authority = ""] = key.split(" ", 2);
      return { authority, direction, calls, openCalls };
    });
  }
}

export interface CountedCall {
  ended(): void;
  /** The peer was not there: nothing has come of the call. */
  neverWas(): void;
}

export interface EnvironmentCall {
  readonly stream: CallStream;
  readonly headers: HeaderList;
  readonly endStream: boolean;
  readonly client: Http2Client;
  readonly authority: string;
  readonly direction: Direction;
  readonly ledger: EnvironmentLedger;
  readonly book: CallBook;
  /** What the caller is told when no connection could be had or it broke; `reason`: of the HTTP/2 layer. */
  unreachable(reason: string): string;
  /** Something of the call has crossed between application and agent. */
  onCrossing(): void;
  /** The caller has reset the call before its answer was complete. */
  onCancelled(): void;
}

/** Proxies a call as it is, without numbers. Returns the receiver of the events of `call.stream`. */
export function passThrough(call: EnvironmentCall): CallEvents {
  // Nothing below may hold `call`: its headers would live as long as the call does.
  const { stream, client, ledger, book, onCrossing, onCancelled, unreachable } = call;
  let answered = false;
  let openDirections = 2;
  const counted = ledger.count(call.authority, call.direction);
  const isOutbound = call.direction === "outbound";
  const open = {
    counted: book.begin(
      call.direction,
      environmentPeer,
      isOutbound ? call.authority : (headerValue(call.headers, ":authority") ?? ""),
      headerValue(call.headers, ":path") ?? "",
      call.headers,
    ),
    sentBytes: 0,
    receivedBytes: 0,
  };
  book.environmentCalls.add(open);
  const end = (outcome: keyof CountedCall = "ended") => {
    if (openDirections === 0) return;
    openDirections = 0;
    counted[outcome]();
    book.environmentCalls.delete(open);
    open.counted.close(open);
  };
  const directionEnded = () => {
    if (openDirections === 1) end();
    else openDirections -= 1;
  };
  onCrossing();
  const away = client.open(call.headers, call.endStream, {
    onHeaders(headers, endStream) {
      onCrossing();
      answered = true;
      if (endStream) open.counted.answered(headers);
      stream.respond(headers, endStream);
      if (endStream) directionEnded();
    },
    onData(chunk) {
      onCrossing();
      if (isOutbound) open.receivedBytes += chunk.length;
      else open.sentBytes += chunk.length;
      if (stream.write(chunk) === "full") away.pause();
    },
    onTrailers(headers) {
      onCrossing();
      open.counted.answered(headers);
      stream.trailers(headers);
      directionEnded();
    },
    onEnd() {
      onCrossing();
      open.counted.answered([]);
      stream.end();
      directionEnded();
    },
    onReset(code, cause) {
      onCrossing();
      if (cause !== "connection") stream.reset(code);
      else {
        open.counted.answeredWith(GrpcStatus.unavailable);
        const message = unreachable(client.lastError ?? "the connection was closed");
        answerStatus(stream, GrpcStatus.unavailable, message, answered);
      }
      end(cause === "connection" && !answered ? "neverWas" : "ended");
    },
    onDrain() {
      stream.resume();
    },
  });
  if (call.endStream) directionEnded();
  return {
    onHeaders() {},
    onData(chunk) {
      onCrossing();
      if (isOutbound) open.sentBytes += chunk.length;
      else open.receivedBytes += chunk.length;
      if (away.write(chunk) === "full") stream.pause();
    },
    onTrailers() {
      onCrossing();
      away.end();
      directionEnded();
    },
    onEnd() {
      onCrossing();
      away.end();
      directionEnded();
    },
    onReset(code, cause) {
      onCrossing();
      away.reset(code);
      if (cause !== "answered") onCancelled();
      end();
    },
    onDrain() {
      away.resume();
    },
  };
}

/** Ends a call with a status of the agent's own; `answered`: headers went out before. */
export function answerStatus(stream: CallStream, status: string, message: string, answered = false): void {
  if (answered) stream.trailers(statusTrailers(status, message));
  else stream.respond(statusAnswer(status, message), true);
}
