import type { Logger } from "../logger.ts";
import type { Counter, Metrics } from "../metrics.ts";
import type { TlsProblem } from "./errors.ts";

export interface RefusalLogOptions {
  readonly logger: Logger;
  readonly metrics?: Metrics | undefined;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

export interface Refusal extends TlsProblem {
  /** `incoming`: the peer dialled. */
  readonly direction: "incoming" | "outgoing";
  /** Which side does not accept the other. */
  readonly by: "us" | "peer";
  /** Who it is thought or says to be; nothing is believed of it. */
  readonly peer: string;
  /** Host and port. */
  readonly address: string;
}

/** The same refusal of the same peer is said once in so long; what came between is said at level debug. */
const repeatMs = 60_000;
/** Peers and reasons remembered. Beyond it some are said again too early. */
const rememberedMax = 1_000;

/** Says which peers were refused, or refused us, and why; counts all of them. A peer that tries for ever does not fill the log. */
export class RefusalLog {
  readonly #options: RefusalLogOptions;
  readonly #saidAtMs = new Map<string, number>();
  readonly #counter: Counter<"direction" | "by" | "code"> | undefined;

  constructor(options: RefusalLogOptions) {
    this.#options = options;
    this.#counter = options.metrics?.counter("cutline_tls_refusals_total", {
      help: "Connections that one side refused because of TLS or a certificate",
      labels: ["direction", "by", "code"],
    });
  }

  note({ direction, by, peer, address, code, message }: Refusal): void {
    const { logger, now } = this.#options;
    this.#counter?.add({ direction, by, code });
    const fields = { direction, peer, address, code, reason: message };
    const text = by === "us" ? "a peer was refused" : "a peer refused this program";
    // Its port is another one each time.
    const key = [by, direction, peer, direction === "incoming" ? address.replace(/:\d+$/, "") : address, code].join(
      " ",
    );
    const saidAtMs = this.#saidAtMs.get(key);
    if (saidAtMs !== undefined && now() - saidAtMs < repeatMs) {
      logger.debug(fields, text);
      return;
    }
    if (this.#saidAtMs.size >= rememberedMax) this.#saidAtMs.clear();
    this.#saidAtMs.set(key, now());
    logger.warn(fields, text);
  }
}
