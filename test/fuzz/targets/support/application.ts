import type { CallEvents, CallStream, HeaderList, Http2Client } from "@cutline/h2";
import type { Random } from "../../../../packages/simulator/src/engine/random.ts";
import { randomBytes } from "../../engine/mutate.ts";

/** One stream between agent and application; it remembers whether its application is still there. */
export class FakeStream implements CallStream {
  readonly unsentBytes = 0;
  events: CallEvents | undefined;
  over = false;
  full = false;
  readonly #onWrite: () => void;

  constructor(onWrite: () => void = () => {}) {
    this.#onWrite = onWrite;
  }

  respond(_headers: HeaderList, endStream: boolean): void {
    if (endStream) this.over = true;
  }

  write(): "taken" | "full" {
    this.#onWrite();
    return this.full ? "full" : "taken";
  }

  end(): void {}

  trailers(): void {
    this.over = true;
  }

  reset(): void {
    this.over = true;
  }

  pause(): void {}
  resume(): void {}
}

/** An application that does, on any of its open calls, whatever HTTP/2 allows it to do. */
export class FakeApplication implements Http2Client {
  readonly lastError = undefined;
  /** Writes to the call that is kept. */
  received = 0;
  #kept: FakeStream | undefined;
  #streams: FakeStream[] = [];

  open(_headers: HeaderList, _endStream: boolean, events: CallEvents): FakeStream {
    const stream: FakeStream = new FakeStream(() => {
      if (stream === this.#kept) this.received += 1;
    });
    this.adopt(stream, events);
    return stream;
  }

  adopt(stream: FakeStream, events: CallEvents): void {
    stream.events = events;
    this.#streams.push(stream);
  }

  /** The call opened last stays as it is from now on. */
  keep(): void {
    this.#kept = this.#streams.pop();
  }

  act(choices: Random): void {
    const stream = choices.pick(this.#streams);
    if (stream === undefined || stream.over || stream.events === undefined) return;
    const { events } = stream;
    switch (choices.below(8)) {
      case 0:
        events.onHeaders(["content-type", "application/grpc"], choices.happens(0.2));
        return;
      case 1:
        events.onTrailers(["grpc-status", "0"]);
        stream.over = true;
        return;
      case 2:
        events.onEnd();
        return;
      case 3:
        stream.over = true;
        events.onReset(choices.below(14), choices.pick(["peer", "connection", "answered"]) ?? "peer");
        return;
      case 4:
        stream.full = choices.happens(0.5);
        if (!stream.full) events.onDrain();
        return;
      default:
        events.onData(
          Buffer.concat([Buffer.from([0, 0, 0, 0, choices.below(200)]), randomBytes(choices, choices.below(250))]),
        );
    }
  }

  /** Every call but the kept one ends, as when its connection breaks. */
  endAll(): void {
    for (const stream of this.#streams.splice(0)) {
      if (stream.over) continue;
      stream.over = true;
      stream.events?.onReset(8, "connection");
    }
  }

  async barrier(): Promise<void> {}
  async close(): Promise<void> {}

  get openStreams(): number {
    return this.#streams.length;
  }
}
