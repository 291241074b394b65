import assert from "node:assert/strict";
import { it } from "node:test";
import type { Http2Limits } from "../../src/port.ts";
import { rawAnswer, rawClient } from "../compliance/raw-peers.ts";
import { lean } from "../support/both.ts";
import { RawPeer } from "../support/raw-peer.ts";
import { request } from "../support/requests.ts";
import { type TrivialServer, trivialServer } from "../support/trivial-server.ts";

/** Bytes that we send for each that we are sent. */
const amplificationMax = 10;

/** Calls kept for a test to look at. */
const callsKept = 10;

export interface Attack {
  readonly name: string;
  /**
   * What becomes of the connection: `open`, or the error of GOAWAY, or `closed` without a word, or `cut` with words that
   * may get lost on the way to who does not read.
   */
  readonly ends:
    | "open"
    | "closed"
    | "cut"
    | "enhanceYourCalm"
    | "protocolError"
    | "flowControlError"
    | "compressionError";
  readonly limits?: Partial<Http2Limits>;
  readonly greeting?: Buffer;
  run(peer: RawPeer, server: TrivialServer): Promise<void> | void;
  /** What must hold at the end. */
  check?(peer: RawPeer, server: TrivialServer): void;
}

/** Calls that somebody else makes meanwhile, one after another; all of them succeed. */
class Honest {
  #running = true;
  #calls = 0;
  readonly #client: ReturnType<typeof rawClient>;
  readonly #over: Promise<void>;

  constructor(port: number) {
    this.#client = rawClient(port);
    this.#over = this.#loop();
    // `stop` tells; a test that fails before it has its own reason.
    this.#over.catch(() => undefined);
  }

  /** Ends after a call that began after the attack. Returns how many calls there were. */
  async stop(): Promise<number> {
    this.#running = false;
    await this.#over;
    const last = await this.#call();
    this.#client.destroy();
    return last;
  }

  async #loop(): Promise<void> {
    while (this.#running) await this.#call();
  }

  async #call(): Promise<number> {
    const answer = await rawAnswer(this.#client.request(request("/done"), { endStream: true }));
    assert.equal(answer.code, 0);
    assert.ok(answer.headers.includes("grpc-status"), `call ${this.#calls} has an answer`);
    this.#calls += 1;
    return this.#calls;
  }
}

/** The attack as a test: the right end, few bytes out, and nobody else harmed. */
export function attackTest(attack: Attack): void {
  it(`${attack.name}: ${attack.ends}`, async () => {
    const server = await trivialServer(lean, attack.limits, callsKept);
    const honest = new Honest(server.port);
    const peer = await RawPeer.connect(server.port, attack.greeting);
    try {
      await attack.run(peer, server);
      if (attack.ends === "open") assert.deepEqual([await peer.settled(), peer.goawayCode], ["open", undefined]);
      else {
        await peer.closed();
        const [goaway] = peer.errors.filter((error) => error.startsWith("goaway"));
        if (attack.ends === "cut") assert.ok(goaway === undefined || goaway === "goaway enhanceYourCalm", goaway);
        else assert.equal(goaway, attack.ends === "closed" ? undefined : `goaway ${attack.ends}`);
      }
      attack.check?.(peer, server);
      const factor = peer.receivedBytes / peer.sentBytes;
      assert.ok(peer.receivedBytes < 1_000 || factor < amplificationMax, `${factor} bytes out for each byte in`);
      assert.ok((await honest.stop()) >= 2);
    } finally {
      peer.destroy();
      await server.close();
    }
  });
}

/** Sends the bytes again and again, as fast as they are taken, while the connection is there. */
export async function flood(peer: RawPeer, times: number, bytes: (i: number) => Buffer): Promise<void> {
  const batch = Math.max(1, Math.floor(16_384 / bytes(0).length));
  for (let i = 0; i < times && !peer.isClosed && peer.goawayCode === undefined; i += batch) {
    const count = Math.min(batch, times - i);
    await peer.sendAll(Buffer.concat(Array.from({ length: count }, (_, k) => bytes(i + k))));
    // What comes back is read in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
