import { connect } from "node:net";
import { describeError } from "@cutline/runtime";

export interface ApplicationProbeOptions {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  now(): number;
}

/** How long an answer holds, so that many questions make few connections. */
const freshMs = 1_000;
const connectTimeoutMs = 1_000;

/** Whether the application takes connections: opens one, and closes it at once. */
export class ApplicationProbe {
  readonly #options: ApplicationProbeOptions;
  #reason: string | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(options: ApplicationProbeOptions) {
    this.#options = options;
  }

  /** Why it takes none, as far as is known. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Resolves with why it takes none, within a second; `undefined`: it does. */
  async ask(): Promise<string | undefined> {
    if (this.#asking === undefined && this.#options.now() - this.#askedAtMs >= freshMs) {
      this.#asking = this.#connect().then((reason) => {
        this.#reason = reason;
        this.#askedAtMs = this.#options.now();
        this.#asking = undefined;
      });
    }
    await this.#asking;
    return this.#reason;
  }

  #connect(): Promise<string | undefined> {
    const { host, port } = this.#options;
    return new Promise((resolve) => {
      const socket = connect({ host, port });
      socket.setTimeout(connectTimeoutMs, () => {
        socket.destroy();
        resolve(`it took no connection within ${connectTimeoutMs} ms`);
      });
      socket.once("connect", () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once("error", (error) => resolve(describeError(error)));
    });
  }
}
