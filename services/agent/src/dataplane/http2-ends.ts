import {
  type AcceptedConnection,
  createHttp2Meter,
  createLeanClient,
  createLeanServer,
  HeldBytes,
  type Http2Client,
  type Http2Meter,
  type Http2Server,
} from "@cutline/h2";
import type { Logger } from "@cutline/runtime";
import { ConnectionLog } from "./connection-log.ts";
import { EnvironmentClients } from "./environment-clients.ts";
import { parseAddress } from "./link/address.ts";

interface Http2EndsOptions {
  /** host:port. */
  readonly applicationAddress: string;
  /** Of all connections together. */
  readonly heldBytesMax: number;
  /** True: connections are being closed, and nothing is said of it. */
  isLeaving(): boolean;
  now(): number;
  readonly logger: Logger;
}

/** Where an agent speaks HTTP/2: with its application, callers without an agent, and peers outside of the mesh. */
interface Http2Ends {
  readonly applicationClient: Http2Client;
  readonly outboundServer: Http2Server;
  readonly inboundServer: Http2Server;
  readonly environmentClients: EnvironmentClients;
  readonly held: HeldBytes;
  readonly meters: Readonly<Record<"outbound" | "inbound" | "application", Http2Meter>>;
  /** The connection, whose end is logged when it was none in order. */
  logged(side: "outbound" | "inbound", peer: string, connection: AcceptedConnection): AcceptedConnection;
}

/** Small windows, because what stands in them at a cut has to come out. */
const limits = { streamWindowBytes: 256 * 1024 };

/** Throws a `RangeError` when the address of the application is none. */
export function createHttp2Ends(options: Http2EndsOptions): Http2Ends {
  const { applicationAddress, heldBytesMax, isLeaving, now, logger } = options;
  const address = parseAddress(applicationAddress);
  if (address === undefined) throw new RangeError(`${applicationAddress} is not host:port`);
  const log = new ConnectionLog({ logger, now });
  const held = new HeldBytes(heldBytesMax);
  const meters = { outbound: createHttp2Meter(), inbound: createHttp2Meter(), application: createHttp2Meter() };
  return {
    applicationClient: createLeanClient({
      ...address,
      limits,
      meter: meters.application,
      held,
      onConnectionLost: (reason) => log.broke("application", applicationAddress, reason),
    }),
    outboundServer: createLeanServer(limits, meters.outbound, held),
    inboundServer: createLeanServer(limits, meters.inbound, held),
    environmentClients: new EnvironmentClients(held, log),
    held,
    meters,
    logged: (side, peer, connection) => ({
      ...connection,
      onClose(reason) {
        if (reason !== undefined && !isLeaving()) log.broke(side, peer, reason);
      },
    }),
  };
}
