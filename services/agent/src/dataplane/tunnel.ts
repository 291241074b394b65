import { connect, type Socket } from "node:net";

export interface TunnelOptions {
  /** The side that asked; what it has sent already was `unshift`ed. */
  readonly near: Socket;
  readonly host: string;
  readonly port: number;
  /** Until the far side is connected. */
  readonly connectTimeoutMs: number;
  /** Once, when both sides have gone; `error`: the far side could not be reached or one of them broke. */
  onClosed(error: Error | undefined): void;
}

/** Carries bytes both ways as they are, with back-pressure and half-closes; when one side breaks the other is reset. */
export function openTunnel(options: TunnelOptions): void {
  const { near, host, port, connectTimeoutMs } = options;
  const far = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true });
  near.setNoDelay(true);
  let failure: Error | undefined;
  const timer = setTimeout(() => {
    far.destroy(new Error(`${host}:${port} did not accept a connection within ${connectTimeoutMs} ms`));
  }, connectTimeoutMs);
  far.once("connect", () => {
    clearTimeout(timer);
    near.pipe(far);
    far.pipe(near);
  });
  let open = 2;
  const closed = (other: Socket) => {
    open -= 1;
    // After an orderly end of both directions the other side closes by itself, with all its bytes sent.
    if (failure !== undefined || !other.writableEnded) other.resetAndDestroy();
    if (open === 0) {
      clearTimeout(timer);
      options.onClosed(failure);
    }
  };
  const failed = (error: Error) => {
    failure ??= error;
  };
  near.on("error", failed);
  far.on("error", failed);
  near.once("close", () => closed(far));
  far.once("close", () => closed(near));
}
