import type { CoordinatorMessage } from "@cutline/proto/control";

/** The writing side of an agent's stream, as far as it is needed here. */
export interface MessageSink {
  write(message: CoordinatorMessage): boolean;
  on(event: "drain", listener: () => void): unknown;
}

/**
 * What waits for a slow agent, bounded by `queueMax` messages. A directory that waits is replaced by the newer one.
 * When the queue is full, `onOverflow` is called once and nothing more is sent.
 */
export class OutgoingQueue {
  readonly #sink: MessageSink;
  readonly #queueMax: number;
  readonly #onOverflow: () => void;
  #waiting: CoordinatorMessage[] = [];
  #phase: "open" | "blocked" | "closed" = "open";

  constructor(sink: MessageSink, queueMax: number, onOverflow: () => void) {
    this.#sink = sink;
    this.#queueMax = queueMax;
    this.#onOverflow = onOverflow;
    sink.on("drain", () => this.#drain());
  }

  send(body: NonNullable<CoordinatorMessage["body"]>): void {
    if (this.#phase === "closed") return;
    if (this.#phase === "open") {
      this.#write({ body });
      return;
    }
    if (body.$case === "directory" || body.$case === "heartbeat") {
      this.#waiting = this.#waiting.filter((message) => message.body?.$case !== body.$case);
    }
    if (this.#waiting.length >= this.#queueMax) {
      this.close();
      this.#onOverflow();
      return;
    }
    this.#waiting.push({ body });
  }

  close(): void {
    this.#phase = "closed";
    this.#waiting = [];
  }

  #write(message: CoordinatorMessage): void {
    if (!this.#sink.write(message)) this.#phase = "blocked";
  }

  #drain(): void {
    if (this.#phase !== "blocked") return;
    this.#phase = "open";
    while (this.#phase === "open") {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#write(next);
    }
  }
}
