import type { HeaderList } from "@cutline/h2";
import { headerValue } from "../dataplane/link/headers.ts";
import { CallSeries, type CallStatus, statusNames } from "./call-series.ts";
import { turnNow } from "./turn-clock.ts";

export type CallDirection = "inbound" | "outbound";

/** What calls are counted by. */
export interface CallNames {
  /** The process at the other end; `environment`: none of the mesh. */
  readonly peer: string;
  readonly authority: string;
  readonly method: string;
}

/** Different values counted by name; what comes beyond is counted as `other`. */
export interface CallBookLimits {
  /** Default 200. */
  readonly methodsMax: number;
  /** Default 100. */
  readonly authoritiesMax: number;
  /** Default 200. */
  readonly peersMax: number;
  /** Combinations of direction, peer, authority and method. Default 500. */
  readonly seriesMax: number;
}

const defaultCallBookLimits: CallBookLimits = {
  methodsMax: 200,
  authoritiesMax: 100,
  peersMax: 200,
  seriesMax: 500,
};

/** The peer of calls that cross no link. */
export const environmentPeer = "environment";
const other = "other";
/** Longer names are counted by their beginning, in UTF-16 code units. */
const nameCharsMax = 200;

/** Told of every call that is over, with what was counted of it. */
export type OnCallOver = (call: CountedCall, status: CallStatus, endedAtMs: number) => void;

/** One call that is being counted. Everything after its end changes nothing. */
export class CountedCall {
  readonly series: CallSeries;
  readonly beganAtMs: number;
  /** The caller's `traceparent`, when spans are made. */
  readonly trace: string | undefined;
  readonly #book: CallBook;
  #ended = false;
  #closed = false;

  constructor(book: CallBook, series: CallSeries, beganAtMs: number, trace: string | undefined) {
    this.#book = book;
    this.series = series;
    this.beganAtMs = beganAtMs;
    this.trace = trace;
    series.begun += 1;
  }

  /** The answer has come to its end, with these trailers, or with headers that stand for all of it. */
  answered(headers: HeaderList): void {
    if (!this.#ended) this.#end(statusOf(headers));
  }

  /** The agent has answered in the callee's place. */
  answeredWith(status: string): void {
    if (!this.#ended) this.#end(statusCode(status));
  }

  /** Nothing more comes of the call. Without an answer before, it has ended by a reset. The bytes are those of its messages. */
  close(outcome: { readonly sentBytes: number; readonly receivedBytes: number }): void {
    if (this.#closed) return;
    this.#closed = true;
    this.series.closed += 1;
    this.series.sentBytes += outcome.sentBytes;
    this.series.receivedBytes += outcome.receivedBytes;
    if (!this.#ended) this.#end(statusNames.reset);
  }

  #end(status: CallStatus): void {
    this.#ended = true;
    const endedAtMs = turnNow();
    this.series.ended(status, endedAtMs - this.beganAtMs);
    this.#book.onCallOver?.(this, status, endedAtMs);
  }
}

/** A call that crosses no link, for the list of open calls. */
export interface OpenEnvironmentCall {
  readonly counted: CountedCall;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/**
 * Counts calls by direction, peer, authority and method. On the path of every call: two readings of the clock, one
 * object and a few additions; what is shown is worked out when it is asked for.
 */
export class CallBook {
  onCallOver: OnCallOver | undefined;
  readonly environmentCalls = new Set<OpenEnvironmentCall>();
  readonly #limits: CallBookLimits;
  readonly #peers = new Set<string>();
  readonly #authorities = new Set<string>();
  readonly #methods = new Set<string>();
  readonly #series: CallSeries[] = [];
  readonly #inbound: Shelf = { last: undefined, peers: new Map() };
  readonly #outbound: Shelf = { last: undefined, peers: new Map() };

  constructor(limits: CallBookLimits = defaultCallBookLimits) {
    this.#limits = limits;
  }

  get series(): readonly CallSeries[] {
    return this.#series;
  }

  /** A call begins. `headers`: its opening headers; only looked at where spans are made. */
  begin(
    direction: CallDirection,
    peer: string,
    authority: string,
    method: string,
    headers: HeaderList | undefined,
  ): CountedCall {
    const shelf = direction === "inbound" ? this.#inbound : this.#outbound;
    let series = shelf.last;
    if (
      series === undefined ||
      series.askedMethod !== method ||
      series.askedPeer !== peer ||
      series.askedAuthority !== authority
    ) {
      series =
        shelf.peers.get(peer)?.get(authority)?.get(method) ?? this.#add(direction, shelf, peer, authority, method);
      shelf.last = series;
    }
    const trace =
      this.onCallOver === undefined || headers === undefined ? undefined : headerValue(headers, "traceparent");
    return new CountedCall(this, series, turnNow(), trace);
  }

  #add(direction: CallDirection, shelf: Shelf, peer: string, authority: string, method: string): CallSeries {
    const { peersMax, authoritiesMax, methodsMax, seriesMax } = this.#limits;
    const names = {
      peer: admitted(this.#peers, peer, peersMax),
      authority: admitted(this.#authorities, authority, authoritiesMax),
      method: admitted(this.#methods, method, methodsMax),
    };
    const isAsked = names.peer === peer && names.authority === authority && names.method === method;
    const known = isAsked ? undefined : find(shelf, names);
    if (known !== undefined) return known;
    if (this.#series.length < seriesMax) return this.#put(direction, shelf, names);
    const others = { peer: other, authority: other, method: other };
    return find(shelf, others) ?? this.#put(direction, shelf, others);
  }

  #put(direction: CallDirection, shelf: Shelf, names: CallNames): CallSeries {
    const series = new CallSeries(direction, names);
    this.#series.push(series);
    const authorities = shelf.peers.get(names.peer) ?? new Map<string, Map<string, CallSeries>>();
    const methods = authorities.get(names.authority) ?? new Map<string, CallSeries>();
    methods.set(names.method, series);
    authorities.set(names.authority, methods);
    shelf.peers.set(names.peer, authorities);
    return series;
  }
}

interface Shelf {
  /** Most calls are like the one before. */
  last: CallSeries | undefined;
  readonly peers: Map<string, Map<string, Map<string, CallSeries>>>;
}

function find(shelf: Shelf, { peer, authority, method }: CallNames): CallSeries | undefined {
  return shelf.peers.get(peer)?.get(authority)?.get(method);
}

/** The name itself, if it may be counted by name. */
function admitted(known: Set<string>, name: string, max: number): string {
  const short = name.length > nameCharsMax ? name.slice(0, nameCharsMax) : name;
  if (known.has(short)) return short;
  if (known.size >= max) return other;
  known.add(short);
  return short;
}

function statusOf(headers: HeaderList): CallStatus {
  const status = headerValue(headers, "grpc-status");
  return status === undefined ? statusNames.none : statusCode(status);
}

function statusCode(status: string): CallStatus {
  if (status === "0") return 0;
  const code = Number(status);
  // gRPC over HTTP/2: what is no known code is UNKNOWN.
  return Number.isInteger(code) && code >= 0 && code <= 16 ? code : 2;
}
