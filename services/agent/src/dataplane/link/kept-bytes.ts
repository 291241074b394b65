import { FrameType } from "./codec.ts";
import type { ArrivedFrame } from "./frame.ts";

/** A frame costs so much beside its payload: one of its own objects and buffer, which for small messages is most of it. */
const frameBytes = 512;

/** What came over all links of one agent and is kept for its application: messages, header blocks, and what keeping each costs. */
export class InboundMemory {
  readonly bytesMax: number;
  #bytes = 0;
  readonly #waiting = new Set<() => void>();

  /** `bytesMax`: beyond it no credit is granted and no call is taken in; beyond twice as much, calls end. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.bytesMax;
  }

  get isOverfull(): boolean {
    return this.#bytes >= 2 * this.bytesMax;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#waiting.size === 0 || this.isFull) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const go of waiting) go();
  }

  /** Calls `go` once, when there is room. */
  whenRoom(go: () => void): void {
    this.#waiting.add(go);
  }

  forget(go: () => void): void {
    this.#waiting.delete(go);
  }
}

/** One link's share of it. */
export class KeptBytes {
  readonly #memory: InboundMemory;
  readonly #headerBytesMax: number;
  /** Payloads kept for calls of the link. */
  bytes = 0;
  /** Of them, header blocks: opening headers, response headers and trailers. */
  headerBytes = 0;

  constructor(memory: InboundMemory, headerBytesMax: number) {
    this.#memory = memory;
    this.#headerBytesMax = headerBytesMax;
  }

  add({ type, payload }: ArrivedFrame): void {
    const { length } = payload;
    this.bytes += length;
    if (type !== FrameType.message) this.headerBytes += length;
    this.#memory.add(length + frameBytes);
  }

  remove({ type, payload }: ArrivedFrame): void {
    const { length } = payload;
    this.bytes -= length;
    if (type !== FrameType.message) this.headerBytes -= length;
    this.#memory.remove(length + frameBytes);
  }

  /** Why no more of the frame's kind may be kept, if so; snapshots that hold frames back give way first. */
  crowdedFor(type: number): string | undefined {
    if (type !== FrameType.message && this.headerBytes > this.#headerBytesMax / 2) {
      return `${this.headerBytes} bytes of header blocks of one link wait for the application`;
    }
    if (this.#memory.isFull && (type === FrameType.open || this.#memory.isOverfull)) {
      return `${this.#memory.bytes} bytes from other processes wait for the application`;
    }
    return undefined;
  }

  /** Header blocks beyond all limits: only a peer that sends on without looking at answers gets there. */
  get isOverfull(): boolean {
    return this.headerBytes > this.#headerBytesMax;
  }
}
