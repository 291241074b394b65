import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { extname } from "node:path";
import { describeError } from "@cutline/runtime";
import { abortError, untilAborted } from "./abort.ts";
import { defaultContentType } from "./content-type.ts";
import { CaptureError } from "./errors.ts";
import type { StateSink, StateSource } from "./state-source.ts";

/** One read, in bytes. */
const readBytes = 256 * 1024;

/** Without it the opening of a named pipe would wait for its writer, out of reach of the signal. */
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/**
 * A regular file (links are followed). It is opened once, so a file that is replaced by renaming is read as it was.
 * One that is written in place shows by its size or its time of change; a write within the tick of the file system's
 * clock may not, which is why exact captures read twice.
 */
export function createFileSource(path: string): StateSource {
  const contentType = extname(path).toLowerCase() === ".json" ? "application/json" : defaultContentType;
  const what = `reading the state from ${path}`;

  const read = async (sink: StateSink, signal: AbortSignal): Promise<void> => {
    const handle = await open(path, openFlags);
    try {
      const before = await regularStat(handle, path);
      stopIfAborted(signal, what);
      sink.contentType(contentType);
      await readWhole(handle, before, sink, signal);
      if (isChanged(before, await handle.stat({ bigint: true }))) throw changed(path);
    } finally {
      await handle.close();
    }
  };

  const readWhole = async (
    handle: FileHandle,
    before: BigIntStats,
    sink: StateSink,
    signal: AbortSignal,
  ): Promise<void> => {
    const size = Number(before.size);
    const buffer = Buffer.allocUnsafeSlow(Math.min(readBytes, size));
    let position = 0;
    while (position < size) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - position), position);
      stopIfAborted(signal, what);
      if (bytesRead === 0) break;
      await sink.write(buffer.subarray(0, bytesRead));
      stopIfAborted(signal, what);
      position += bytesRead;
    }
    if (position === size && !(await hasByteAt(handle, size))) return;
    if (isChanged(before, await handle.stat({ bigint: true }))) throw changed(path);
    const message = `${path} says that it has ${size} bytes and gives another number; only plain files on a disk can be read`;
    throw new CaptureError("StateUnreadable", message);
  };

  return {
    name: "file",
    read: async (sink, signal) => {
      if (signal.aborted) throw abortError(signal, what);
      try {
        await untilAborted(read(sink, signal), signal, what);
      } catch (error) {
        throw error instanceof CaptureError ? error : unreadable(path, error);
      }
    },
  };
}

async function regularStat(handle: FileHandle, path: string): Promise<BigIntStats> {
  const stat = await handle.stat({ bigint: true });
  if (stat.isFile()) return stat;
  const kind = stat.isDirectory() ? "a folder" : "a device, a pipe or a socket";
  throw new CaptureError("StateUnreadable", `${path} is ${kind}; a state can be read from a regular file only`);
}

async function hasByteAt(handle: FileHandle, position: number): Promise<boolean> {
  const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, position);
  return bytesRead > 0;
}

function isChanged(before: BigIntStats, after: BigIntStats): boolean {
  return before.size !== after.size || before.mtimeNs !== after.mtimeNs;
}

function stopIfAborted(signal: AbortSignal, what: string): void {
  if (signal.aborted) throw abortError(signal, what);
}

function changed(path: string): CaptureError {
  const message = `${path} changed while it was read; write the state to another file and rename it, or write it less often`;
  return new CaptureError("StateUnreadable", message);
}

function unreadable(path: string, error: unknown): CaptureError {
  const message = `the state could not be read from ${path}: ${describeError(error)}`;
  return new CaptureError("StateUnreadable", message, { cause: error });
}
