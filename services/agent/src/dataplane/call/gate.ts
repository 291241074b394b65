import { FrameType } from "../link/codec.ts";
import type { OutboundItem } from "./outbound-queue.ts";
import { covers, everything, type Position } from "./position.ts";

/**
 * Where the traffic between application and links stands still for a cut. Only frames of links pass here; calls with the
 * environment never wait.
 */
export class Gate {
  /** `noNewCalls`: calls not yet handed over wait; the others go on. `closed`: nothing is handed over. */
  toApplication: "open" | "noNewCalls" | "closed" = "open";
  /**
   * `frozen`: what the application sends is read and kept, unclassified. `settling`: what stands before the cut is let
   * out, the rest is kept.
   */
  fromApplication: "open" | "frozen" | "settling" = "open";
  /** Told of whatever crosses between application and agent, by the capture that runs. */
  onCrossing: (() => void) | undefined;
  #crossings = 0;

  /** Counts what crosses between application and agent, for captures that need it to stand still. */
  get crossings(): number {
    return this.#crossings;
  }

  noteCrossing(): void {
    this.#crossings += 1;
    this.onCrossing?.();
  }

  mayLeave(item: OutboundItem, cutTarget: Position | undefined): boolean {
    if (this.fromApplication === "open") return true;
    if (this.fromApplication === "frozen") return false;
    return cutTarget !== undefined && standsBefore(cutTarget, item);
  }

  mayEnter(type: number): boolean {
    if (this.toApplication === "open") return true;
    return this.toApplication === "noNewCalls" && type !== FrameType.open;
  }
}

/**
 * Whether the application sent the item before its cut. Counts say nothing of a reset: it stands before the cut only
 * where the call had ended by then.
 */
export function standsBefore(target: Position, item: OutboundItem): boolean {
  return item.type === FrameType.reset ? target === everything : covers(target, item.role);
}
