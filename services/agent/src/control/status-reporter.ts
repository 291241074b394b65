import { AgentStatus } from "@cutline/proto/control";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { ControlLimits } from "./limits.ts";

/** Tells the coordinator how this agent stands: when that has changed, and not more often than every `statusIntervalMs`. */
export class StatusReporter {
  readonly #client: Pick<CoordinatorClient, "send">;
  readonly #status: () => AgentStatus;
  readonly #limits: Pick<ControlLimits, "statusIntervalMs">;
  #timer: NodeJS.Timeout | undefined;
  #told: Uint8Array | undefined;

  constructor(
    client: Pick<CoordinatorClient, "send">,
    status: () => AgentStatus,
    limits: Pick<ControlLimits, "statusIntervalMs">,
  ) {
    this.#client = client;
    this.#status = status;
    this.#limits = limits;
  }

  /** To be called after every welcome: this coordinator has not been told yet. */
  welcomed(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tell(), this.#limits.statusIntervalMs);
    this.#timer.unref();
    this.#told = undefined;
    this.#tell();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const value = this.#status();
    const encoded = AgentStatus.encode(value).finish();
    if (this.#told !== undefined && Buffer.compare(this.#told, encoded) === 0) return;
    this.#told = this.#client.send({ $case: "status", value }) === "sent" ? encoded : undefined;
  }
}
