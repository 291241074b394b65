import { ConnectionError, ErrorCode } from "../errors.ts";

/** What the peer may send on all streams of a connection together (RFC 9113, section 5.2). */
export class ReceiveWindow {
  readonly #windowBytes: number;
  #leftBytes: number;
  #receivedBytes = 0;

  /** `leftBytes`: of what the peer has been told so far. */
  constructor(windowBytes: number, leftBytes: number) {
    this.#windowBytes = windowBytes;
    this.#leftBytes = leftBytes;
  }

  /** Throws {@link ConnectionError} when the peer sends more than it may. */
  take(frameBytes: number): void {
    this.#leftBytes -= frameBytes;
    if (this.#leftBytes < 0) {
      throw new ConnectionError(ErrorCode.flowControlError, "the peer exceeded the connection's window");
    }
    this.#receivedBytes += frameBytes;
  }

  /** Whether so much has come that the peer should be told that it may go on. */
  get isDue(): boolean {
    return this.#receivedBytes * 2 >= this.#windowBytes;
  }

  /** Opens it as far as has come. Returns the bytes, for the peer to be told. */
  open(): number {
    const bytes = this.#receivedBytes;
    this.#leftBytes += bytes;
    this.#receivedBytes = 0;
    return bytes;
  }
}
