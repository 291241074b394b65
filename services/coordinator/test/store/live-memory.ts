import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const samplePeriod = 16;

/** The most that was reachable at any sample, heap and buffers together, beyond what was there at the start. */
export class LiveMemory {
  readonly #collect: () => void;
  readonly #startBytes: number;
  grownBytesMax = 0;

  constructor() {
    setFlagsFromString("--expose-gc");
    this.#collect = runInNewContext("gc") as () => void;
    this.#startBytes = this.#liveBytes();
  }

  /** Measures at every sixteenth call. */
  sample(call: number): void {
    if (call % samplePeriod === 0) {
      this.grownBytesMax = Math.max(this.grownBytesMax, this.#liveBytes() - this.#startBytes);
    }
  }

  #liveBytes(): number {
    this.#collect();
    const { heapUsed, external } = process.memoryUsage();
    // external counts array buffers too.
    return heapUsed + external;
  }
}
