/** A piece of one message: a view of the bytes it was cut from. */
export interface MessagePiece {
  readonly bytes: Uint8Array;
  /** Counts from 0. */
  readonly messageIndex: number;
  readonly offsetBytes: number;
  /** Length of the whole message with its five-byte prefix; 0 where the body is not gRPC and has no messages. */
  readonly messageBytes: number;
  readonly endOfMessage: boolean;
}

const prefixBytes = 5;

/** What the cut needs to know of a body: where its messages begin and end. */
export interface BodySplitter {
  /** Calls `emit` for every piece. Answers `tooLarge` and stops when a message exceeds the limit. */
  split(chunk: Buffer, emit: (piece: MessagePiece) => void): "ok" | "tooLarge";
  /** Whether the body stands inside a message. */
  readonly inMessage: boolean;
  /** Complete messages so far. */
  readonly messages: number;
  /** The length of the message that was too large, in bytes without its prefix. */
  readonly refusedBytes: number;
}

/**
 * Splits a gRPC body by its length prefixes (gRPC over HTTP/2, "Length-Prefixed-Message") without copying, except for
 * a prefix that is itself split. A message's first piece always holds the whole prefix.
 */
export class GrpcSplitter implements BodySplitter {
  readonly #messageBytesMax: number;
  #prefix: Buffer | undefined;
  #remaining = 0;
  #messageBytes = 0;
  #index = 0;
  refusedBytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  get inMessage(): boolean {
    return this.#remaining > 0 || this.#prefix !== undefined;
  }

  get messages(): number {
    return this.#index;
  }

  split(chunk: Buffer, emit: (piece: MessagePiece) => void): "ok" | "tooLarge" {
    if (this.#prefix !== undefined) {
      chunk = Buffer.concat([this.#prefix, chunk]);
      this.#prefix = undefined;
    }
    let at = 0;
    while (at < chunk.length) {
      if (this.#remaining === 0) {
        if (chunk.length - at < prefixBytes) {
          this.#prefix = Buffer.from(chunk.subarray(at));
          return "ok";
        }
        const bytes = chunk.readUInt32BE(at + 1);
        if (bytes > this.#messageBytesMax) {
          this.refusedBytes = bytes;
          return "tooLarge";
        }
        this.#messageBytes = bytes + prefixBytes;
        this.#remaining = this.#messageBytes;
      }
      const take = Math.min(this.#remaining, chunk.length - at);
      const offsetBytes = this.#messageBytes - this.#remaining;
      this.#remaining -= take;
      const endOfMessage = this.#remaining === 0;
      const messageIndex = this.#index;
      if (endOfMessage) this.#index += 1;
      emit({
        bytes: take === chunk.length ? chunk : chunk.subarray(at, at + take),
        messageIndex,
        offsetBytes,
        messageBytes: this.#messageBytes,
        endOfMessage,
      });
      at += take;
    }
    return "ok";
  }
}

/** A body that is not gRPC: every chunk counts as a message of its own. */
export class OpaqueSplitter implements BodySplitter {
  readonly inMessage = false;
  readonly refusedBytes = 0;
  messages = 0;

  split(chunk: Buffer, emit: (piece: MessagePiece) => void): "ok" {
    emit({ bytes: chunk, messageIndex: this.messages, offsetBytes: 0, messageBytes: chunk.length, endOfMessage: true });
    this.messages += 1;
    return "ok";
  }
}
