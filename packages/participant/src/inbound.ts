import type { Readable } from "node:stream";
import type { Section, Sections, Wait } from "./section.ts";

/** What the application has received on one call. */
export interface Inbound {
  /** Handed to application code; what sits in a buffer does not count. */
  readonly messagesReceived: number;
  readonly endReceived: boolean;
  /** A `for await` loop over it is under way: it will be given the end or an error, or breaks off. */
  readonly looped: boolean;
}

/** A unary request, which is handed over whole when its handler begins. */
export const wholeRequest: Inbound = { messagesReceived: 1, endReceived: true, looped: false };

/** Nothing is received of a unary answer until its callback runs, and then the call has ended. */
export const noAnswerYet: Inbound = { messagesReceived: 0, endReceived: false, looped: false };

/** Counts the messages of a stream: those pushed, without those still in its buffer or in the hand of an iterator. */
export class InboundMessages implements Inbound {
  readonly #stream: Readable;
  #pushed: number;
  #pulls = 0;
  /** Read for a pull that has not been answered yet. */
  #read = 0;
  /** Given by an iterator, and not yet to the loop. */
  #inHand = 0;
  #loops = 0;
  #endPushed = false;
  #endReceived = false;

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
    const read = stream.read.bind(stream);
    stream.read = (size?: number): unknown => {
      const chunk: unknown = read(size);
      if (chunk !== null && this.#pulls > 0) this.#read += 1;
      return chunk;
    };
  }

  get messagesReceived(): number {
    return this.#pushed - this.#stream.readableLength - this.#read - this.#inHand;
  }

  get endReceived(): boolean {
    return this.#endReceived;
  }

  get looped(): boolean {
    return this.#loops > 0;
  }

  /** The end was pushed and nothing pushed before it is left. */
  get exhausted(): boolean {
    return this.#endPushed && this.#stream.readableLength + this.#read + this.#inHand === 0;
  }

  /** A loop's stream emits it for the loop, which may still be at an earlier message. */
  endEmitted(): void {
    if (!this.looped) this.#endReceived = true;
  }

  endWasPushed(): void {
    this.#endPushed = true;
  }

  loopBegins(): void {
    this.#loops += 1;
  }

  loopEnds(): void {
    this.#loops -= 1;
  }

  /** An iterator is asked for what comes next: what it reads is received when `handOver` says so. */
  pull(): void {
    this.#pulls += 1;
  }

  pulled(what: "message" | "nothing"): void {
    this.#pulls -= 1;
    if (what === "message") this.#inHand += 1;
    this.#read = this.#pulls === 0 ? 0 : Math.max(0, this.#read - 1);
  }

  handOver(what: "message" | "end"): void {
    if (what === "message") this.#inHand -= 1;
    else this.#endReceived = true;
  }
}

export interface Iteration<Call> {
  readonly sections: Sections<Call>;
  readonly inbound: InboundMessages;
  /** For a loop that runs outside every section. */
  readonly home: () => Section<Call>;
  readonly onStart?: () => void;
  /** The loop is over, by the stream's end, an error or a `break`: in the step in which the code after it is told. */
  readonly onDone?: () => void;
  /** Nothing more is given to this loop: it is done, or its iterator was dropped half-way. */
  readonly onOver: () => void;
}

/** From the begin of a loop until it is over, and no longer: for its call, which is open meanwhile. */
class Loop {
  readonly #inbound: InboundMessages;
  readonly #onOver: () => void;
  #over = false;

  constructor(inbound: InboundMessages, onOver: () => void) {
    this.#inbound = inbound;
    this.#onOver = onOver;
    inbound.loopBegins();
  }

  get over(): boolean {
    return this.#over;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#inbound.loopEnds();
    this.#onOver();
  }
}

/** `next()` by hand and no `return()`: nobody can be told of the end any more, and the call must not stay open. */
const droppedIterators = new FinalizationRegistry<Loop>((loop) => loop.end());

/**
 * Makes each body of a `for await` loop over `stream` part of its section: the section waits during each pull, and is
 * held from the message until the next pull. A loop outside every section gets each message in a turn of its own.
 */
export function holdLoopBodies<Call>(stream: Readable, iteration: Iteration<Call>): void {
  const iterate = stream[Symbol.asyncIterator].bind(stream);
  const iterator = stream.iterator.bind(stream);
  const begin = (inner: NodeJS.AsyncIterator<unknown>): NodeJS.AsyncIterator<unknown> => {
    // Made here, so that it does not keep alive the iterator it is registered for.
    const loop = new Loop(iteration.inbound, iteration.onOver);
    const outer = sectioned(inner, loop, iteration);
    droppedIterators.register(outer, loop);
    return outer;
  };
  stream[Symbol.asyncIterator] = () => begin(iterate());
  stream.iterator = (options) => begin(iterator(options));
}

function sectioned<Call>(
  inner: NodeJS.AsyncIterator<unknown>,
  loop: Loop,
  iteration: Iteration<Call>,
): NodeJS.AsyncIterator<unknown> {
  const { sections, inbound, home, onStart, onDone } = iteration;
  let body: Section<Call> | undefined;
  const leaveBody = (): void => {
    body?.leaveBody();
    body = undefined;
  };
  const done = (): void => {
    if (loop.over) return;
    onDone?.();
    loop.end();
  };
  onStart?.();
  const outer: NodeJS.AsyncIterator<unknown> = {
    next() {
      const inside = sections.current();
      const section = inside ?? home();
      const wait: Wait = Symbol("the next message");
      leaveBody();
      section.park(wait);
      inbound.pull();
      return new Promise((resolve, reject) => {
        inner.next().then(
          (result) => {
            inbound.pulled(result.done === true ? "nothing" : "message");
            section.resume(wait, () => {
              if (result.done === true) {
                if (!loop.over) inbound.handOver("end");
                done();
              } else {
                inbound.handOver("message");
                if (inside !== undefined) {
                  body = inside;
                  inside.enterBody();
                }
              }
              resolve(result);
            });
          },
          (error: unknown) => {
            inbound.pulled("nothing");
            section.resume(wait, () => {
              done();
              reject(error);
            });
          },
        );
      });
    },
    async return(value) {
      leaveBody();
      done();
      return inner.return === undefined ? { done: true, value: await value } : inner.return(value);
    },
    async throw(error) {
      leaveBody();
      done();
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
