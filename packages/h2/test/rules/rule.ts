import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameType } from "../../src/frames/constants.ts";
import type { Http2Limits } from "../../src/port.ts";
import { type Http2Adapters, Recorder, requestHeaders, until } from "../compliance/adapters.ts";
import { lean, nodeHttp2 } from "../support/both.ts";
import { RawPeer, rawListener } from "../support/raw-peer.ts";
import { trivialServer } from "../support/trivial-server.ts";
import { type Frame, wire } from "../support/wire.ts";

/** Bytes that are sent, or a wait until the other side has processed what was sent. */
type Step = Buffer | "settle";

/**
 * What is sent, and what must come back: `ok` (nothing, and the connection goes on), `closed`, or errors in order:
 * `rst 1 streamClosed`, `goaway protocolError`.
 */
export interface Rule {
  readonly name: string;
  readonly send: readonly Step[];
  readonly lean: string;
  /** Where `node:http2` says something else. */
  readonly node?: string;
  /** Why that is, or why neither is wrong. */
  readonly because?: string;
  readonly limits?: Partial<Http2Limits>;
  /** Sent instead of the preface and empty SETTINGS. */
  readonly greeting?: Buffer;
  /** Server side: calls that may reach the application. Default: any number. */
  readonly calls?: number;
  /** Client side: what happens on the call. Default: anything. */
  readonly events?: readonly string[];
}

export interface Section {
  readonly title: string;
  readonly rules: readonly Rule[];
}

async function play(peer: RawPeer, steps: readonly Step[]): Promise<string> {
  for (const step of steps) {
    if (step === "settle") await peer.settled();
    else peer.send(step);
  }
  await peer.settled();
  // After GOAWAY with an error the connection must come to its end without any help.
  if ((peer.goawayCode ?? 0) !== 0) await peer.closed();
  if (peer.errors.length > 0) return peer.errors.join(", ");
  return peer.isClosed ? "closed" : "ok";
}

async function playToServer(adapters: Http2Adapters, rule: Rule): Promise<void> {
  const server = await trivialServer(adapters, rule.limits);
  const peer = await RawPeer.connect(server.port, rule.greeting);
  try {
    const outcome = await play(peer, rule.send);
    assert.equal(outcome, expected(adapters, rule));
    if (rule.calls !== undefined && adapters === lean) assert.equal(server.calls.length, rule.calls);
  } finally {
    peer.destroy();
    await server.close();
  }
}

function expected(adapters: Http2Adapters, rule: Rule): string {
  return adapters === nodeHttp2 ? (rule.node ?? rule.lean) : rule.lean;
}

async function playToClient(adapters: Http2Adapters, rule: Rule): Promise<void> {
  const listener = await rawListener();
  const client = adapters.createClient({
    host: "127.0.0.1",
    port: listener.port,
    ...(rule.limits === undefined ? {} : { limits: rule.limits }),
  });
  try {
    const events = new Recorder();
    client.open(requestHeaders, false, events);
    await until("the client connects", () => listener.peers.length > 0);
    const peer = listener.peers[0] as RawPeer;
    if (rule.greeting === undefined) {
      peer.send(wire.settings());
      await until("the request is there", () => peer.frames.some(({ type }: Frame) => type === FrameType.headers));
    } else peer.send(rule.greeting);
    const outcome = await play(peer, rule.send);
    assert.equal(outcome, expected(adapters, rule));
    if (rule.events !== undefined && adapters === lean) assert.deepEqual(events.log, rule.events);
  } finally {
    for (const peer of listener.peers) peer.destroy();
    await client.close(0);
    await listener.close();
  }
}

/** Every rule as a test, of the lean layer and of the reference. */
export function rulesOfServer(sections: readonly Section[]): void {
  for (const adapters of [lean, nodeHttp2]) run(adapters, "server", sections, playToServer);
}

export function rulesOfClient(sections: readonly Section[]): void {
  for (const adapters of [lean, nodeHttp2]) run(adapters, "client", sections, playToClient);
}

function run(
  adapters: Http2Adapters,
  side: string,
  sections: readonly Section[],
  test: (adapters: Http2Adapters, rule: Rule) => Promise<void>,
): void {
  for (const { title, rules } of sections) {
    describe(`${adapters.name}, ${side}: ${title}`, { concurrency: 8 }, () => {
      for (const rule of rules) it(`${rule.name}: ${expected(adapters, rule)}`, () => test(adapters, rule));
    });
  }
}
