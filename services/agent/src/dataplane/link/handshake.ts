import type { Socket } from "node:net";
import { receive } from "@cutline/runtime";
import {
  encodeFrameHeader,
  FrameDecoder,
  FrameError,
  type FrameSink,
  type FrameType,
  frameHeaderBytes,
  unpin,
} from "./codec.ts";

export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly number: number;
  readonly callId: number;
  payload: Buffer;
}

export type FrameReceiver = FrameSink["onFrame"];

/**
 * Frames on one connection: waits for the handshake's frames one by one, then passes everything on to one receiver.
 * A bad frame destroys the connection with the error and nothing else.
 */
export class FrameConnection {
  readonly socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #early: ReceivedFrame[] = [];
  #receiver: FrameReceiver | undefined;
  #waiting: { resolve(frame: ReceivedFrame): void; reject(error: Error): void } | undefined;
  #failure: Error | undefined;
  #earlyBytes = 0;
  lastReceivedAtMs: number;
  readonly #now: () => number;

  constructor(socket: Socket, now: () => number) {
    this.socket = socket;
    this.#now = now;
    this.lastReceivedAtMs = now();
    this.#decoder = new FrameDecoder({
      onFrame: (type, flags, number, callId, payload) => {
        if (this.#receiver !== undefined) this.#receiver(type, flags, number, callId, payload);
        else this.#onEarlyFrame({ type, flags, number, callId, payload });
      },
    });
    socket.setNoDelay(true);
    receive(socket, (chunk) => {
      this.lastReceivedAtMs = this.#now();
      try {
        this.#decoder.feed(chunk);
      } catch (error) {
        // Not only FrameError: whatever a frame set off, this connection cannot be trusted to be in step any more.
        socket.destroy(error instanceof Error ? error : new FrameError(String(error)));
      }
    });
    socket.on("error", (error) => {
      this.#failure = error;
    });
    socket.on("close", () => {
      this.#waiting?.reject(this.#failure ?? new FrameError("the connection closed during the handshake"));
      this.#waiting = undefined;
    });
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The next frame of the handshake. Rejects when the connection closes or `timeoutMs` passes. */
  async next(timeoutMs: number): Promise<ReceivedFrame> {
    const early = this.#early.shift();
    if (early !== undefined) return early;
    if (this.socket.destroyed) throw this.#failure ?? new FrameError("the connection closed during the handshake");
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined;
        reject(new FrameError(`the handshake took longer than ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting = {
        resolve: (frame) => {
          clearTimeout(timer);
          resolve(frame);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
    });
  }

  /** Ends the handshake: frames that came early, and all later ones, go to the receiver. */
  receiveWith(receiver: FrameReceiver): void {
    for (const { type, flags, number, callId, payload } of this.#early.splice(0)) {
      receiver(type, flags, number, callId, payload);
    }
    this.#receiver = receiver;
  }

  /** The peer has been told no: nothing more is read, and it has `timeoutMs` to close its side. */
  refuse(timeoutMs: number): void {
    this.#receiver = () => undefined;
    this.#early.length = 0;
    this.socket.setTimeout(timeoutMs, () => this.socket.destroy());
    setTimeout(() => this.socket.destroy(), timeoutMs).unref();
    this.socket.end();
  }

  write(type: FrameType, payload: Uint8Array): void {
    this.socket.write(encodeFrameHeader(type, 0, 0, 0, payload.length));
    this.socket.write(payload);
  }

  #onEarlyFrame(frame: ReceivedFrame): void {
    unpin(frame);
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve(frame);
      return;
    }
    // Frames right behind the handshake, before its promise has been looked at.
    this.#earlyBytes += frameHeaderBytes + frame.payload.length;
    if (this.#earlyBytes > earlyBytesMax) throw new FrameError("too much came before the handshake was done");
    this.#early.push(frame);
  }
}

/** What one or two reads of the socket can bring. */
const earlyBytesMax = 4 * 1024 * 1024;
