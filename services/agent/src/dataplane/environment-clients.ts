import type { HeldBytes, Http2Client } from "@cutline/h2";
import { createLeanClient } from "@cutline/h2";
import type { ConnectionLog } from "./connection-log.ts";
import { parseAddress } from "./link/address.ts";

/** Peers outside of the mesh to which connections are kept; the one that was asked for longest ago goes first. */
const clientsMax = 256;
/** For the calls that a client has open when it goes. */
const closeGraceMs = 60_000;

/** HTTP/2 clients for peers without an agent, one for each authority. */
export class EnvironmentClients {
  readonly #clients = new Map<string, Http2Client>();
  readonly #held: HeldBytes;
  readonly #log: ConnectionLog;

  constructor(held: HeldBytes, log: ConnectionLog) {
    this.#held = held;
    this.#log = log;
  }

  /** `undefined`: the authority is no address. */
  get(authority: string): Http2Client | undefined {
    const known = this.#clients.get(authority);
    if (known !== undefined) {
      this.#clients.delete(authority);
      this.#clients.set(authority, known);
      return known;
    }
    const address = parseAddress(authority);
    if (address === undefined) return undefined;
    const onConnectionLost = (reason: string) => this.#log.broke("environment", authority, reason);
    const client = createLeanClient({ ...address, held: this.#held, onConnectionLost });
    this.#clients.set(authority, client);
    for (const [oldest, unused] of this.#clients) {
      if (this.#clients.size <= clientsMax) break;
      this.#clients.delete(oldest);
      void unused.close(closeGraceMs);
    }
    return client;
  }

  async close(graceMs: number): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close(graceMs)));
  }
}
