import assert from "node:assert/strict";
import { CaptureError } from "../../src/capture/errors.ts";
import { parseCaptureSource, type StateSource } from "../../src/capture/state-source.ts";

export const never: AbortSignal = new AbortController().signal;

export function sourceOf(text: string): StateSource {
  const parsed = parseCaptureSource(text);
  assert.equal(parsed.outcome, "ok", JSON.stringify(parsed));
  assert.ok(parsed.outcome === "ok" && parsed.source !== "participant");
  return parsed.source;
}

export interface Reading {
  readonly bytes: Buffer;
  readonly contentTypes: readonly string[];
}

export async function readAll(
  source: StateSource,
  signal: AbortSignal = never,
  onChunk?: () => Promise<void>,
): Promise<Reading> {
  const chunks: Buffer[] = [];
  const contentTypes: string[] = [];
  await source.read(
    {
      contentType: (value) => contentTypes.push(value),
      write: async (chunk) => {
        chunks.push(Buffer.from(chunk));
        await onChunk?.();
      },
    },
    signal,
  );
  return { bytes: Buffer.concat(chunks), contentTypes };
}

export function captureError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CaptureError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}
