import { FrameType } from "../link/codec.ts";
import type { FrameRole, Position } from "./position.ts";

/** Something the application sent, before it has a number. */
export interface OutboundItem {
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly role: FrameRole;
  readonly offsetBytes: number;
  readonly messageBytes: number;
}

/** An item costs so much beside its payload. */
const itemBytes = 128;

/** What one call's application has sent and the link has not taken yet, in order. */
export class OutboundQueue {
  #items: OutboundItem[] = [];
  #head = 0;
  #bytes = 0;
  readonly #read = { headers: false, messages: 0, end: false };

  append(item: OutboundItem): void {
    this.#items.push(item);
    this.#bytes += item.payload.length;
  }

  /** Notes that the application's sending has got this far, whether or not the item waits here. */
  noteRead(item: OutboundItem, endOfMessage: boolean): void {
    const { role } = item;
    this.#read.headers = true;
    if (role.part === "end") this.#read.end = true;
    else if (role.part === "message" && endOfMessage) this.#read.messages = role.index + 1;
  }

  /** How far the application's sending has been read. */
  get read(): Position {
    return this.#read;
  }

  /** Whether all that stands before `target` has been read. */
  hasRead(target: Position): boolean {
    if (this.#read.end) return true;
    if (target.end) return false;
    return (this.#read.headers || !target.headers) && this.#read.messages >= target.messages;
  }

  get next(): OutboundItem | undefined {
    return this.#items[this.#head];
  }

  takeNext(): void {
    const item = this.#items[this.#head];
    if (item === undefined) return;
    this.#bytes -= item.payload.length;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** What keeping them costs, at least. */
  get heldBytes(): number {
    return this.#bytes + (this.#items.length - this.#head) * itemBytes;
  }

  get isEmpty(): boolean {
    return this.#head === this.#items.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A reset is always the last. */
  get lastReset(): OutboundItem | undefined {
    const last = this.#items.at(-1);
    return last?.type === FrameType.reset ? last : undefined;
  }

  /** All items that are still here, in order. */
  *remaining(): Generator<OutboundItem> {
    for (let at = this.#head; at < this.#items.length; at += 1) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }
}
