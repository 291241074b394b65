import type { Logger } from "@cutline/runtime";

/** `application`: the agent's to its application; `environment`: to peers outside of the mesh; the others were accepted. */
type ConnectionSide = "outbound" | "inbound" | "application" | "environment";

export interface ConnectionLogOptions {
  readonly logger: Logger;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** Lines of one side in one interval; more are counted, and the next line says how many. */
const linesMax = 10;
const intervalMs = 60_000;

interface Said {
  sinceMs: number;
  lines: number;
  unsaid: number;
}

/** Says why HTTP/2 connections broke, once for each, and not more often than anybody could read. */
export class ConnectionLog {
  readonly #options: ConnectionLogOptions;
  readonly #said = new Map<ConnectionSide, Said>();

  constructor(options: ConnectionLogOptions) {
    this.#options = options;
  }

  /** `peer`: an address or authority. `reason`: of the HTTP/2 layer, which tells of frames and never what was in them. */
  broke(side: ConnectionSide, peer: string, reason: string): void {
    const { logger, now } = this.#options;
    const said = this.#saidOf(side, now());
    if (said.lines >= linesMax) {
      said.unsaid += 1;
      return;
    }
    said.lines += 1;
    const { unsaid } = said;
    said.unsaid = 0;
    const fields = { side, peer, reason, ...(unsaid > 0 && { unsaid }) };
    if (side === "application") logger.warn(fields, "the connection to the application broke");
    else logger.info(fields, "an HTTP/2 connection broke");
  }

  #saidOf(side: ConnectionSide, nowMs: number): Said {
    let said = this.#said.get(side);
    if (said === undefined) {
      said = { sinceMs: nowMs, lines: 0, unsaid: 0 };
      this.#said.set(side, said);
    }
    if (nowMs - said.sinceMs >= intervalMs) {
      said.sinceMs = nowMs;
      said.lines = 0;
    }
    return said;
  }
}
