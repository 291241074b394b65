import { createHash } from "node:crypto";
import {
  type ControlClient,
  ControlService,
  type UploadHeader,
  type UploadRequest,
  type UploadResponse,
} from "@cutline/proto/control";
import { reasonOf } from "@cutline/runtime";
import { status } from "@grpc/grpc-js";
import { encodeChunk } from "../chunk-codec.ts";
import { chunkBytesMax } from "./limits.ts";

export interface UploadPart {
  readonly header: UploadHeader;
  readonly content: UploadContent;
}

export interface UploadContent {
  /** The whole content, anew at each call: an upload may be repeated. */
  bytes(): AsyncIterable<Uint8Array>;
  /** Lower-case hex, where it is known; else it is made of what is sent. */
  readonly sha256: string | undefined;
}

export type SendOutcome =
  | { readonly outcome: "stored"; readonly sizeBytes: number; readonly sha256: string }
  | { readonly outcome: "failed"; readonly code: status; readonly message: string }
  /** The content itself could not be had. */
  | { readonly outcome: "unreadable"; readonly message: string };

/**
 * One try to upload a part: header, chunks, end. The next chunk is taken from the part after the one before has gone
 * out. Never rejects; ends when `cancel` aborts, or after `stallMs` in which nothing went out and no answer came.
 */
export function sendPart(
  rpc: ControlClient,
  part: UploadPart,
  cancel: AbortSignal,
  stallMs: number,
): Promise<SendOutcome> {
  const result = Promise.withResolvers<SendOutcome>();
  let sent: UploadResponse | undefined;
  let over = false;
  let goOn: (() => void) | undefined;

  function end(outcome: SendOutcome): void {
    if (over) return;
    over = true;
    clearTimeout(stallTimer);
    cancel.removeEventListener("abort", cancelled);
    goOn?.();
    call.cancel();
    result.resolve(outcome);
  }
  const fail = (code: status, message: string) => end({ outcome: "failed", code, message });
  const cancelled = () => fail(status.CANCELLED, "the upload was broken off");

  const { path, responseDeserialize } = ControlService.upload;
  const call = rpc.makeClientStreamRequest(path, encodeRequest, responseDeserialize, (error, stored) => {
    if (error !== null) fail(error.code, error.details);
    else if (stored === undefined) fail(status.INTERNAL, "the coordinator answered nothing");
    else if (sent?.sha256 === stored.sha256 && sent.sizeBytes === stored.sizeBytes) end({ outcome: "stored", ...sent });
    else fail(status.DATA_LOSS, `the coordinator stored ${stored.sizeBytes} bytes, and not those that were sent`);
  });
  call.on("error", () => {}); // The callback tells of it.
  const stallTimer = setTimeout(
    () => fail(status.DEADLINE_EXCEEDED, `the upload stood still for ${stallMs} ms`),
    stallMs,
  );
  cancel.addEventListener("abort", cancelled, { once: true });
  if (cancel.aborted) cancelled();

  /** Resolves when the message has gone out, or all is over: a call that fails does not always call back. */
  function write(body: NonNullable<UploadRequest["body"]>): Promise<void> {
    return new Promise((resolve) => {
      if (over) {
        resolve();
        return;
      }
      goOn = resolve;
      call.write({ body }, () => {
        stallTimer.refresh();
        resolve();
      });
    });
  }

  async function pump(): Promise<void> {
    const { header, content } = part;
    const hash = content.sha256 === undefined ? createHash("sha256") : undefined;
    let sizeBytes = 0;
    await write({ $case: "header", value: header });
    for await (const chunk of chunksOf(content.bytes(), chunkBytesMax)) {
      if (over) return;
      hash?.update(chunk);
      sizeBytes += chunk.length;
      await write({ $case: "chunk", value: chunk });
    }
    if (over) return;
    sent = { sizeBytes, sha256: content.sha256 ?? hash?.digest("hex") ?? "" };
    await write({ $case: "end", value: sent });
    call.end();
  }

  pump().catch((error: unknown) => end({ outcome: "unreadable", message: reasonOf(error, "Unreadable").message }));
  return result.promise;
}

/** Chunks are most of what goes out. */
function encodeRequest(request: UploadRequest): Buffer {
  const { body } = request;
  return body?.$case === "chunk" ? encodeChunk(body.value) : ControlService.upload.requestSerialize(request);
}

/** The same bytes in chunks of exactly `chunkBytes`, but for the last: joins small pieces and divides large ones. */
export async function* chunksOf(pieces: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<Buffer> {
  let joined: Buffer | undefined;
  let joinedBytes = 0;
  for await (const piece of pieces) {
    let rest = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    while (rest.length > 0) {
      if (joined === undefined && rest.length >= chunkBytes) {
        yield rest.subarray(0, chunkBytes);
        rest = rest.subarray(chunkBytes);
        continue;
      }
      joined ??= Buffer.allocUnsafe(chunkBytes);
      const takenBytes = rest.copy(joined, joinedBytes);
      joinedBytes += takenBytes;
      rest = rest.subarray(takenBytes);
      if (joinedBytes === chunkBytes) {
        yield joined;
        joined = undefined;
        joinedBytes = 0;
      }
    }
  }
  if (joined !== undefined) yield joined.subarray(0, joinedBytes);
}
