import type { Http2Meter } from "../port.ts";
import type { Connection } from "./connection.ts";

export function noteOpened(meter: Http2Meter): void {
  meter.opened += 1;
  meter.open += 1;
}

/** Once for every connection. */
export function noteClosed(meter: Http2Meter, connection: Connection): void {
  meter.open -= 1;
  if (connection.fault !== undefined) meter.protocolErrors += 1;
}
