import { type Http2Limits } from "../port.ts";
import type { ClientCall } from "./client-call.ts";
export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: Http2Limits;
  readonly connectTimeoutMs: number;
}
export interface ConnectionEvents {
  /** The peer's settings are known: it can be used, up to its limit. */
  onReady(connection: ClientConnection): void;
  /** There may be room now, or no more room ever (GOAWAY). */
  onRoomChanged(connection: ClientConnection): void;
  /** It could not be had. */
  onFailed(connection: ClientConnection, reason: string): void;
  /** `reason`: why it broke; `undefined` after an orderly end. */
  onClosed(connection: ClientConnection, reason: string | undefined): void;
}
/**
 * One connection with prior knowledge (h2c). `connecting` until the peer's SETTINGS are there, because its limit of
 * concurrent streams is not known before; `draining` from GOAWAY on.
 */
export declare class ClientConnection {
  #private;
  phase: "connecting" | "ready" | "draining" | "closed";
  constructor(options: ConnectionOptions, events: ConnectionEvents);
  get hasRoom(): boolean;
  get isUsable(): boolean;
  start(call: ClientCall): void;
  /**
   * Two round trips: PING overtakes whatever is queued when it is sent, the second one does not overtake what was
   * queued before the first.
   */
  ping(): Promise<void>;
  /** GOAWAY; `onClosed` comes when the last stream has ended. */
  close(): void;
  destroy(): void;
}
