import { messageOf, ParticipantError } from "./errors.ts";
import { nameOf, writeJson } from "./json.ts";
import { stateChunkBytesMax } from "./limits.ts";
import { isThenable } from "./thenable.ts";

/** Bytes of a state that is streamed after the instant of the capture: a frozen view, which no later change reaches. */
export type StateChunks = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

export interface RecordedState {
  /** Taken unless the application names one. */
  readonly contentType: "application/json" | "application/octet-stream";
  readonly chunks: StateChunks;
  /** The size in bytes where it is more than `bytesMax`, as far as it is known before the last chunk was read. */
  sizeOver(bytesMax: number): number | undefined;
}

/**
 * Calls the application's `state` and freezes what it returns, in one synchronous run.
 *
 * - a string, or anything `JSON.stringify` can write: frozen at once;
 * - a `Uint8Array`: copied at once;
 * - an iterable or async iterable of chunks (arrays are JSON): read later, so it must be a frozen view.
 */
export function recordState(state: () => unknown): RecordedState {
  let value: unknown;
  try {
    value = state();
  } catch (error) {
    throw new ParticipantError("StateFailed", `state() threw: ${messageOf(error)}`, { cause: error });
  }
  if (typeof value === "string") return text(value);
  if (value instanceof Uint8Array) {
    // `Uint8Array.from` would take several times as long: it asks a Buffer for one number after the other.
    const bytes = new Uint8Array(value);
    return octets([bytes], (bytesMax) => (bytes.byteLength > bytesMax ? bytes.byteLength : undefined));
  }
  if (isThenable(value)) {
    value.then(undefined, () => {
      // Refused below whatever becomes of it; a rejection must not end the application as unhandled.
    });
    throw new ParticipantError(
      "StateNotSynchronous",
      "state() returned a promise; the state must be taken in one synchronous run. Return the value itself, or an async iterable over a frozen view",
    );
  }
  if (isChunks(value)) return octets(value, () => undefined);
  return text(toJson(value));
}

/** The recorded bytes in pieces of at most `stateChunkBytesMax`. */
export async function* pieces(state: RecordedState): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of state.chunks) {
    const bytes = bytesOf(chunk);
    for (let at = 0; at < bytes.byteLength; at += stateChunkBytesMax) {
      yield bytes.subarray(at, at + stateChunkBytesMax);
    }
  }
}

function bytesOf(chunk: unknown): Buffer {
  if (typeof chunk === "string") return Buffer.from(chunk);
  if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new ParticipantError(
    "StateNotSerialisable",
    `state() returned an iterable that gave ${nameOf(chunk)}; its chunks must be Uint8Array or string`,
  );
}

/** Bytes of UTF-8 for one unit of a string, at most. */
const utf8BytesMax = 3;

/** The bytes themselves are made later, when sections run again. */
function text(value: string): RecordedState {
  return {
    contentType: "application/json",
    chunks: [value],
    sizeOver(bytesMax) {
      if (value.length * utf8BytesMax <= bytesMax) return undefined;
      const sizeBytes = Buffer.byteLength(value);
      return sizeBytes > bytesMax ? sizeBytes : undefined;
    },
  };
}

function octets(chunks: StateChunks, sizeOver: RecordedState["sizeOver"]): RecordedState {
  return { contentType: "application/octet-stream", chunks, sizeOver };
}

function toJson(value: unknown): string {
  let json: string | undefined;
  try {
    json = writeJson(value);
  } catch (error) {
    if (error instanceof ParticipantError) throw error;
    throw new ParticipantError("StateNotSerialisable", `state() returned what JSON cannot write: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (json !== undefined) return json;
  throw new ParticipantError("StateNotSerialisable", `state() returned ${nameOf(value)}, which JSON cannot write`);
}

function isChunks(value: unknown): value is StateChunks {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (Symbol.asyncIterator in value) return true;
  return Symbol.iterator in value && !(value instanceof Map) && !(value instanceof Set) && !ArrayBuffer.isView(value);
}
