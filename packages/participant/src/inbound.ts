import type { Readable } from "node:stream";
import type { Section, Sections, Wait } from "./section.ts";

/** What the application has received on one call. */
export interface Inbound {
  /** Handed to application code; what sits in a buffer does not count. */
  readonly messagesReceived: number;
  readonly endReceived: boolean;
}

/** A unary request, which is handed over whole when its handler begins. */
export const wholeRequest: Inbound = { messagesReceived: 1, endReceived: true };

/** Nothing is received of a unary answer until its callback runs, and then the call has ended. */
export const noAnswerYet: Inbound = { messagesReceived: 0, endReceived: false };

/** Counts the messages of a stream: those pushed, without those still in its buffer or in the hand of an iterator. */
export class InboundMessages implements Inbound {
  readonly #stream: Readable;
  #pushed: number;
  readonly #inHand = { message: 0, end: 0 };
  #endPushed = false;
  #endEmitted = false;

  constructor(stream: Readable, onPush: () => void) {
    this.#stream = stream;
    this.#pushed = stream.readableLength;
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null) this.#endPushed = true;
      else {
        this.#pushed += 1;
        onPush();
      }
      return push(chunk, encoding);
    };
  }

  get messagesReceived(): number {
    return this.#pushed - this.#stream.readableLength - this.#inHand.message;
  }

  get endReceived(): boolean {
    return this.#endEmitted && this.#inHand.end === 0;
  }

  /** The end was pushed and nothing pushed before it is left. */
  get exhausted(): boolean {
    return this.#endPushed && this.#stream.readableLength === 0 && this.#inHand.message + this.#inHand.end === 0;
  }

  endEmitted(): void {
    this.#endEmitted = true;
  }

  endWasPushed(): void {
    this.#endPushed = true;
  }

  /** An iterator has taken it from the stream; it is received when `handOver` says so. */
  takeInHand(what: "message" | "end"): void {
    this.#inHand[what] += 1;
  }

  handOver(what: "message" | "end"): void {
    this.#inHand[what] -= 1;
  }
}

export interface Iteration<Call> {
  readonly sections: Sections<Call>;
  readonly inbound: InboundMessages;
  /** For a loop that runs outside every section. */
  readonly home: () => Section<Call>;
  readonly onStart?: () => void;
  readonly onHandedOver?: () => void;
  /** The loop is over, by the stream's end, an error or a `break`. */
  readonly onDone?: () => void;
}

/**
 * Makes each body of a `for await` loop over `stream` part of its section: the section waits during each pull, and is
 * held from the message until the next pull. A loop outside every section gets each message in a turn of its own.
 */
export function holdLoopBodies<Call>(stream: Readable, iteration: Iteration<Call>): void {
  const iterate = stream[Symbol.asyncIterator].bind(stream);
  const iterator = stream.iterator.bind(stream);
  stream[Symbol.asyncIterator] = () => sectioned(iterate(), iteration);
  stream.iterator = (options) => sectioned(iterator(options), iteration);
}

function sectioned<Call>(
  inner: NodeJS.AsyncIterator<unknown>,
  iteration: Iteration<Call>,
): NodeJS.AsyncIterator<unknown> {
  const { sections, inbound, home, onStart, onHandedOver, onDone } = iteration;
  let body: Section<Call> | undefined;
  const leaveBody = (): void => {
    body?.leaveBody();
    body = undefined;
  };
  onStart?.();
  const outer: NodeJS.AsyncIterator<unknown> = {
    next() {
      const inside = sections.current();
      const section = inside ?? home();
      const wait: Wait = Symbol("the next message");
      leaveBody();
      section.park(wait);
      return new Promise((resolve, reject) => {
        inner.next().then(
          (result) => {
            const what = result.done === true ? "end" : "message";
            inbound.takeInHand(what);
            section.resume(wait, () => {
              inbound.handOver(what);
              if (what === "end") onDone?.();
              else if (inside !== undefined) {
                body = inside;
                inside.enterBody();
              }
              onHandedOver?.();
              resolve(result);
            });
          },
          (error: unknown) =>
            section.resume(wait, () => {
              onDone?.();
              reject(error);
            }),
        );
      });
    },
    async return(value) {
      leaveBody();
      onDone?.();
      return inner.return === undefined ? { done: true, value: await value } : inner.return(value);
    },
    async throw(error) {
      leaveBody();
      onDone?.();
      if (inner.throw === undefined) throw error;
      return inner.throw(error);
    },
    [Symbol.asyncIterator]: () => outer,
    async [Symbol.asyncDispose]() {
      await outer.return?.();
    },
  };
  return outer;
}
