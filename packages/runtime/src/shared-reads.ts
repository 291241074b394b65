import { connect, Socket, type TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import { releasedMemory } from "./released-memory.ts";

/**
 * What sockets are read into, all of them one after another: a buffer for each read would be most of what a proxy
 * allocates. What is read is there until its receiver returns.
 */
const memory = Buffer.allocUnsafeSlow(64 * 1024);

const receivers = new WeakMap<Duplex, (bytes: Buffer) => void>();

/** As `net.connect`. What it reads goes to the receiver alone, which is to be there before the first bytes are. */
export function connectShared(options: TcpNetConnectOpts): Socket {
  const socket: Socket = connect({
    ...options,
    onread: { buffer: memory, callback: (bytes) => handOver(socket, bytes) },
  });
  receivers.set(socket, unreceived);
  return socket;
}

/**
 * Hands over what a socket brings from now on, and what had been given back to it. `bytes` may be {@link isShared}: who
 * needs them when `receiver` has returned copies them.
 */
export function receive(socket: Duplex, receiver: (bytes: Buffer) => void): void {
  if (!receivers.has(socket)) {
    socket.on("data", receiver);
    if (!(socket instanceof Socket) || adopt(socket) === "foreign") return;
  }
  receivers.set(socket, receiver);
}

/** Whether the next read of any socket may change the bytes. */
export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer === memory.buffer;
}

/** The same bytes, or a copy where the next read may change them: in memory of its own, for it may be kept for long. */
export function ownBytes(bytes: Buffer): Buffer;
export function ownBytes(bytes: Uint8Array): Uint8Array;
export function ownBytes(bytes: Uint8Array): Uint8Array {
  if (!isShared(bytes)) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function unreceived(): void {
  throw new Error("a socket has brought bytes before it had a receiver");
}

function handOver(socket: Socket, bytes: number): true {
  const read = memory.subarray(0, bytes);
  (receivers.get(socket) ?? unreceived)(read);
  releasedMemory.onReleased?.(read);
  return true;
}

/**
 * Does for a socket that was accepted what `onread` does for one that is dialled; servers do not take that option. The
 * names are those of Node.js 24 inside; where one of them is not there the socket goes on with a buffer for each read.
 */
function adopt(socket: Socket): "adopted" | "foreign" {
  const { _handle: handle } = socket as { _handle?: { useUserBuffer?(buffer: Uint8Array): void } | null };
  const symbols = Object.getOwnPropertySymbols(socket);
  const named = (name: string) => symbols.find(({ description }) => description === name);
  const [buffer, callback, next] = [named("kBuffer"), named("kBufferCb"), named("kBufferGen")];
  if (typeof handle?.useUserBuffer !== "function" || socket.constructor !== Socket) return "foreign";
  if (buffer === undefined || callback === undefined || next === undefined) return "foreign";
  Object.assign(socket, { [buffer]: memory, [callback]: (bytes: number) => handOver(socket, bytes), [next]: null });
  handle.useUserBuffer(memory);
  return "adopted";
}
