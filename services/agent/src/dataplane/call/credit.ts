import { FrameError, framePayloadBytesMax } from "../link/codec.ts";

/**
 * Flow control of one call on its link: message bytes since the call began, each way. Grants are absolute, so that they
 * survive a reconnect and repeating one is harmless.
 */
export class Credit {
  readonly #windowBytes: number;
  #sentBytes = 0;
  #peerGrantedBytes: number;
  #arrivedBytes = 0;
  #handedBytes = 0;
  #grantedBytes: number;

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
    this.#peerGrantedBytes = windowBytes;
    this.#grantedBytes = windowBytes;
  }

  /** A piece may be sent while any credit is left; it may exceed it by itself. */
  get maySend(): boolean {
    return this.#sentBytes < this.#peerGrantedBytes;
  }

  /** Message bytes of the whole call: to the link, and from it. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  get arrivedBytes(): number {
    return this.#arrivedBytes;
  }

  noteSent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Returns whether the grant is news. */
  takeGrant(grantedBytes: number): "more" | "known" {
    if (grantedBytes <= this.#peerGrantedBytes) return "known";
    this.#peerGrantedBytes = grantedBytes;
    return "more";
  }

  /** Throws {@link FrameError} when the peer sends what it was not granted. */
  noteArrived(bytes: number): void {
    if (bytes === 0) throw new FrameError("a message frame is empty");
    this.#arrivedBytes += bytes;
    if (this.#arrivedBytes <= this.#grantedBytes + framePayloadBytesMax) return;
    throw new FrameError(`${this.#arrivedBytes} message bytes came for a call that was granted ${this.#grantedBytes}`);
  }

  noteHanded(bytes: number): void {
    this.#handedBytes += bytes;
  }

  /** What to grant now, when it is worth a frame. */
  nextGrant(): number | undefined {
    const grant = this.#handedBytes + this.#windowBytes;
    if (grant - this.#grantedBytes < this.#windowBytes / 2) return undefined;
    this.#grantedBytes = grant;
    return grant;
  }

  /** What to say again after a reconnect. */
  get repeatedGrant(): number | undefined {
    return this.#grantedBytes > this.#windowBytes ? this.#grantedBytes : undefined;
  }
}
