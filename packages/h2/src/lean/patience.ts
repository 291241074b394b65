import { ConnectionError, ErrorCode } from "../errors.ts";
import { Budget } from "./budget.ts";
import { connectionLimits } from "./limits.ts";

/**
 * What a peer may do that costs us more than it: so often at once, and so often a second. Beyond it the connection ends;
 * each method throws {@link ConnectionError} then.
 */
export class Patience {
  readonly #resets: Budget;
  readonly #faults = new Budget(connectionLimits.faultsBurst, connectionLimits.faultsPerSecond);
  readonly #idleFrames = new Budget(connectionLimits.idleFramesBurst, connectionLimits.idleFramesPerSecond);
  readonly #settings = new Budget(connectionLimits.settingsBurst, connectionLimits.settingsPerSecond);

  constructor(concurrentStreamsMax: number) {
    // All calls that are open may be cancelled at once.
    const resetsBurst = connectionLimits.resetsBurst + concurrentStreamsMax;
    this.#resets = new Budget(resetsBurst, connectionLimits.resetsPerSecond);
  }

  /** The peer has reset a stream before an answer began. */
  reset(): void {
    spend(this.#resets, "the peer resets too many streams");
  }

  /** For each call that is answered in full another may be reset: hedging cancels every second one. */
  answeredInFull(): void {
    this.#resets.earn();
  }

  /** The peer has broken a rule, and a stream is reset for it. */
  fault(): void {
    spend(this.#faults, "the peer makes us reset too many streams");
  }

  idleFrame(): void {
    spend(this.#idleFrames, "the peer sends too many frames that say nothing");
  }

  /** SETTINGS after the first. */
  settings(): void {
    spend(this.#settings, "the peer changes its settings too often");
  }
}

function spend(budget: Budget, message: string): void {
  if (budget.spend() === "ok") return;
  throw new ConnectionError(ErrorCode.enhanceYourCalm, message);
}
