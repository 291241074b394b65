import { createHash } from "node:crypto";
import type { UploadHeader, UploadRequest, UploadResponse } from "@cutline/proto/control";
import { type ServerReadableStream, status } from "@grpc/grpc-js";
import { StoreError } from "../store/port.ts";
import { type AgentEvents, type PartAdmission, type PartOffer, PartRefused } from "./port.ts";

/** A chunk may have this many bytes. */
export const chunkBytesMax = 256 * 1024;

/** Ends the call with this status. */
class UploadStatus extends Error {
  readonly status: status;

  constructor(code: status, message: string) {
    super(message);
    this.name = "UploadStatus";
    this.status = code;
  }
}

/**
 * Receives one part: header, chunks, end. The next chunk is taken from the network only after the store has taken the one
 * before. Rejects with an error that `uploadStatusOf` turns into a gRPC status.
 */
export async function receivePart(
  call: ServerReadableStream<UploadRequest, UploadResponse>,
  events: Pick<AgentEvents, "admit">,
): Promise<UploadResponse> {
  call.on("cancelled", () => call.destroy(new UploadStatus(status.CANCELLED, "the agent gave the upload up")));
  const requests = call[Symbol.asyncIterator]() as AsyncIterator<UploadRequest>;
  const first = await next(requests);
  if (first?.$case !== "header") throw new UploadStatus(status.INVALID_ARGUMENT, "an upload begins with its header");
  const admission = events.admit(offerOf(first.value));
  switch (admission.outcome) {
    case "refused":
      throw new UploadStatus(status.FAILED_PRECONDITION, admission.message);
    case "busy":
      throw new UploadStatus(status.ABORTED, admission.message);
    case "stored":
      return await compare(requests, admission);
    case "accepted":
      return await store(call, requests, admission, first.value.contentType);
  }
}

async function store(
  call: ServerReadableStream<UploadRequest, UploadResponse>,
  requests: AsyncIterator<UploadRequest>,
  { upload }: Extract<PartAdmission, { outcome: "accepted" }>,
  contentType: string,
): Promise<UploadResponse> {
  const giveUp = () => call.destroy(new PartRefused("AttemptOver", "the attempt is over"));
  upload.signal.addEventListener("abort", giveUp);
  try {
    const received = await drain(requests, (chunk) => upload.write(chunk));
    await upload.commit({ ...received, contentType });
    return received;
  } catch (error) {
    await upload.abort();
    throw error;
  } finally {
    upload.signal.removeEventListener("abort", giveUp);
  }
}

async function compare(
  requests: AsyncIterator<UploadRequest>,
  { info, differs }: Extract<PartAdmission, { outcome: "stored" }>,
): Promise<UploadResponse> {
  const received = await drain(requests, () => undefined);
  if (received.sha256 === info.sha256 && received.sizeBytes === info.sizeBytes) return received;
  differs();
  throw new UploadStatus(
    status.FAILED_PRECONDITION,
    `this part was stored with sha256 ${info.sha256}, and now has ${received.sha256}`,
  );
}

/** Takes all chunks and checks them against the end. */
async function drain(
  requests: AsyncIterator<UploadRequest>,
  take: (chunk: Uint8Array) => Promise<void> | undefined,
): Promise<UploadResponse> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for (;;) {
    const body = await next(requests);
    if (body === undefined) throw new UploadStatus(status.INVALID_ARGUMENT, "the upload stopped before its end");
    if (body.$case === "header") throw new UploadStatus(status.INVALID_ARGUMENT, "an upload has one header");
    if (body.$case === "end") {
      const sha256 = hash.digest("hex");
      if (body.value.sizeBytes !== sizeBytes || body.value.sha256 !== sha256) {
        throw new UploadStatus(
          status.DATA_LOSS,
          `${sizeBytes} bytes with sha256 ${sha256} arrived, the agent sent ${body.value.sizeBytes} with ${body.value.sha256}; upload the part again`,
        );
      }
      return { sizeBytes, sha256 };
    }
    if (body.value.length > chunkBytesMax) {
      throw new UploadStatus(status.INVALID_ARGUMENT, `a chunk has at most ${chunkBytesMax} bytes`);
    }
    hash.update(body.value);
    sizeBytes += body.value.length;
    await take(body.value);
  }
}

async function next(requests: AsyncIterator<UploadRequest>): Promise<UploadRequest["body"]> {
  const { done, value } = await requests.next();
  return done === true ? undefined : value.body;
}

function offerOf(header: UploadHeader): PartOffer {
  const { ref, processId, incarnation, kind, channelId, contentType } = header;
  if (ref === undefined) throw new UploadStatus(status.INVALID_ARGUMENT, "the upload's header names no snapshot");
  switch (kind) {
    case "local":
    case "calls":
      return { ref, processId, incarnation, kind, owner: processId, contentType };
    case "channel":
    case "outbox":
      if (channelId === "") throw new UploadStatus(status.INVALID_ARGUMENT, `a ${kind} part names its channel`);
      return { ref, processId, incarnation, kind, owner: channelId, contentType };
    default:
      throw new UploadStatus(status.INVALID_ARGUMENT, "the kind of a part is local, calls, channel or outbox");
  }
}

/** `UNAVAILABLE` and `ABORTED` mean: the same upload may be tried again. */
export function uploadStatusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof UploadStatus) return { code: error.status, details: error.message };
  if (error instanceof PartRefused) {
    const code = error.code === "StateTooLarge" ? status.RESOURCE_EXHAUSTED : status.FAILED_PRECONDITION;
    return { code, details: error.message };
  }
  if (error instanceof StoreError) {
    const code = error.code === "StoreFull" ? status.RESOURCE_EXHAUSTED : status.UNAVAILABLE;
    return { code, details: `${error.code}: ${error.message}` };
  }
  return { code: status.INTERNAL, details: "the coordinator failed to store the part; its log says why" };
}
