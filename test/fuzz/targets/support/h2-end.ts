import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { ErrorCode } from "../../../../packages/h2/src/errors.ts";
import { FrameReader, type FrameSink } from "../../../../packages/h2/src/frames/reader.ts";
import { HpackDecoder } from "../../../../packages/h2/src/hpack/decoder.ts";
import type { CallEvents, CallStream, HeaderList } from "../../../../packages/h2/src/port.ts";
import type { Random } from "../../../../packages/simulator/src/engine/random.ts";

/**
 * A socket without a network. What is written to it is copied at once, or only referred to until a later turn, as a
 * socket does whose kernel takes no more; it says `full` as its choices will have it.
 */
export class FakeSocket extends EventEmitter {
  readonly written: Buffer[] = [];
  writableLength = 0;
  writable = true;
  writableEnded = false;
  destroyed = false;
  readonly #choices: Random;
  #waiting: Buffer[] = [];
  #isFull = false;

  constructor(choices: Random) {
    super();
    this.#choices = choices;
  }

  write(bytes: Buffer): boolean {
    if (this.#waiting.length === 0 && this.#choices.happens(0.7)) {
      this.written.push(Buffer.from(bytes));
      return true;
    }
    if (this.#waiting.length === 0) setImmediate(() => this.#take());
    this.#waiting.push(bytes);
    this.writableLength += bytes.length;
    if (this.#choices.happens(0.5)) return true;
    this.#isFull = true;
    return false;
  }

  #take(): void {
    for (const bytes of this.#waiting.splice(0)) this.written.push(Buffer.from(bytes));
    this.writableLength = 0;
    if (!this.#isFull || this.destroyed) return;
    this.#isFull = false;
    this.emit("drain");
  }

  cork(): void {}
  uncork(): void {}
  resume(): void {}
  pause(): void {}

  end(): void {
    this.writableEnded = true;
    this.writable = false;
    this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.writable = false;
    process.nextTick(() => this.emit("close"));
  }
}

/** Reads what we wrote as a strict peer would. Whatever it refuses is a finding. */
export function checkWritten(written: readonly Buffer[], readBy: "server" | "client"): void {
  const decoder = new HpackDecoder(4_096, 10_000_000);
  const sink: FrameSink = {
    onDataFrame() {},
    onData() {},
    onHeaders(_streamId, source, start, end) {
      decoder.decode(source, start, end);
    },
    onReset() {},
    onSettings() {},
    onPing() {},
    onGoaway(_lastStreamId, code, debug) {
      assert.notEqual(code, ErrorCode.internalError, debug);
    },
    onWindowUpdate(_streamId, increment) {
      assert.ok(increment > 0);
    },
    onIdleFrame() {},
    onBadFrame(streamId) {
      throw new Error(`a frame of stream ${streamId} has a wrong length`);
    },
  };
  const reader = new FrameReader(readBy, 1_000_000, sink);
  for (const bytes of written) reader.feed(bytes);
}

/** An application that does now this and now that, and checks the order of what happens on its call. */
export class FuzzedCall implements CallEvents {
  readonly #random: Random;
  readonly #isServer: boolean;
  stream: CallStream | undefined;
  #ended = false;
  #dead = false;
  #begun = false;

  constructor(random: Random, isServer: boolean) {
    this.#random = random;
    this.#isServer = isServer;
  }

  get isOver(): boolean {
    return this.#dead || (this.#ended && !this.#isServer);
  }

  onHeaders(_headers: HeaderList, endStream: boolean): void {
    assert.ok(!this.#isServer && !this.#begun && !this.#dead && !this.#ended);
    this.#begun = true;
    this.#ended = endStream;
    this.#act();
  }

  onData(chunk: Buffer): void {
    assert.ok(chunk.length > 0 && !this.#ended && !this.#dead && (this.#isServer || this.#begun));
    if (this.#random.happens(0.3)) this.stream?.write(chunk);
    this.#act();
  }

  onTrailers(): void {
    this.onEnd();
  }

  onEnd(): void {
    assert.ok(!this.#ended && !this.#dead);
    this.#ended = true;
    this.#act();
  }

  onReset(code: number): void {
    assert.ok(!this.#dead && (this.#isServer || !this.#ended), `reset ${code} behind the end`);
    this.#dead = true;
  }

  onDrain(): void {
    assert.ok(!this.#dead);
    this.#act();
  }

  /** One thing that an application may do, maybe at the wrong time. */
  act(): void {
    this.#act();
  }

  #act(): void {
    const { stream } = this;
    if (stream === undefined) return;
    switch (this.#random.below(9)) {
      case 0:
        stream.respond([":status", "200", "x", String(this.#random.below(3))], this.#random.happens(0.3));
        break;
      case 1:
        stream.respond([":status", "200"], false);
        stream.write(Buffer.alloc(this.#random.below(3_000)));
        break;
      case 2:
        stream.trailers(["grpc-status", "0", "connection", "x"]);
        break;
      case 3:
        stream.end();
        break;
      case 4:
        stream.pause();
        setImmediate(() => stream.resume());
        break;
      case 5:
        if (this.#random.happens(0.2)) {
          stream.reset(this.#random.below(2 ** 31));
          this.#dead = true;
        }
    }
  }
}
