import { createHash } from "node:crypto";
import type { UploadHeader, UploadRequest, UploadResponse } from "@cutline/proto/control";
import { type ServerReadableStream, status } from "@grpc/grpc-js";
import { StoreError } from "../store/port.ts";
import { type AgentEvents, type PartAdmission, type PartOffer, PartRefused } from "./port.ts";

/** A chunk may have this many bytes. */
const chunkBytesMax = 256 * 1024;
/** Ids and types in a header are no longer than this. */
const nameCharsMax = 512;
/** What a refusal says travels in a header of HTTP/2, whose size peers limit. */
const detailsCharsMax = 2_048;

export interface UploadLimits {
  /** How long the coordinator waits for the next message of an upload. */
  readonly uploadSilenceMs: number;
}

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
 * before. `refusalFor`: whether the caller may speak for a process. Rejects with an error that `uploadStatusOf` turns into
 * a gRPC status.
 */
export async function receivePart(
  call: ServerReadableStream<UploadRequest, UploadResponse>,
  events: Pick<AgentEvents, "admit">,
  { uploadSilenceMs }: UploadLimits,
  refusalFor: (processId: string) => { readonly code: status; readonly details: string } | undefined,
): Promise<UploadResponse> {
  call.on("cancelled", () => call.destroy(new UploadStatus(status.CANCELLED, "the agent gave the upload up")));
  const messages = call[Symbol.asyncIterator]() as AsyncIterator<UploadRequest>;
  const next = async () => {
    const silence = new UploadStatus(status.DEADLINE_EXCEEDED, `nothing came for ${uploadSilenceMs} ms`);
    const timer = setTimeout(() => call.destroy(silence), uploadSilenceMs);
    try {
      const { done, value } = await messages.next();
      return done === true ? undefined : value.body;
    } finally {
      clearTimeout(timer);
    }
  };
  const first = await next();
  if (first?.$case !== "header") throw new UploadStatus(status.INVALID_ARGUMENT, "an upload begins with its header");
  const impostor = refusalFor(first.value.processId);
  if (impostor !== undefined) throw new UploadStatus(impostor.code, impostor.details);
  const admission = events.admit(offerOf(first.value));
  switch (admission.outcome) {
    case "refused":
      throw new UploadStatus(status.FAILED_PRECONDITION, admission.message);
    case "busy":
      throw new UploadStatus(status.ABORTED, admission.message);
    case "stored":
      return await compare(next, admission);
    case "accepted":
      return await store(call, next, admission, first.value.contentType);
  }
}

/** The next message of an upload; `undefined` after the last. */
type Next = () => Promise<UploadRequest["body"]>;

async function store(
  call: ServerReadableStream<UploadRequest, UploadResponse>,
  next: Next,
  { upload }: Extract<PartAdmission, { outcome: "accepted" }>,
  contentType: string,
): Promise<UploadResponse> {
  const giveUp = () => call.destroy(new PartRefused("AttemptOver", "the attempt is over"));
  upload.signal.addEventListener("abort", giveUp);
  try {
    const received = await drain(next, (chunk) => upload.write(chunk));
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
  next: Next,
  { info, differs }: Extract<PartAdmission, { outcome: "stored" }>,
): Promise<UploadResponse> {
  const received = await drain(next, () => undefined);
  if (received.sha256 === info.sha256 && received.sizeBytes === info.sizeBytes) return received;
  differs();
  throw new UploadStatus(
    status.FAILED_PRECONDITION,
    `this part was stored with sha256 ${info.sha256}, and now has ${received.sha256}`,
  );
}

/** Takes all chunks and checks them against the end. */
async function drain(next: Next, take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<UploadResponse> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for (;;) {
    const body = await next();
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

function offerOf(header: UploadHeader): PartOffer {
  const { ref, processId, incarnation, kind, channelId, contentType } = header;
  if (ref === undefined) throw new UploadStatus(status.INVALID_ARGUMENT, "the upload's header names no snapshot");
  const names = [ref.snapshotId, processId, incarnation, kind, channelId, contentType];
  if (names.some((name) => name.length > nameCharsMax)) {
    throw new UploadStatus(status.INVALID_ARGUMENT, `a text of the header is longer than ${nameCharsMax} characters`);
  }
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

/** `expected`: an agent that is late, early or has given up. `trouble`: of the store or the way. `fault`: of this program. */
export interface UploadRefusal {
  readonly code: status;
  readonly details: string;
  readonly level: "expected" | "trouble" | "fault";
}

const expectedCodes: ReadonlySet<status> = new Set([status.FAILED_PRECONDITION, status.ABORTED, status.CANCELLED]);

/** `UNAVAILABLE` and `ABORTED` mean: the same upload may be tried again. */
export function uploadStatusOf(error: unknown): UploadRefusal {
  if (error instanceof UploadStatus) return refusal(error.status, error.message);
  if (error instanceof PartRefused) {
    return refusal(
      error.code === "StateTooLarge" ? status.RESOURCE_EXHAUSTED : status.FAILED_PRECONDITION,
      error.message,
    );
  }
  if (error instanceof StoreError) {
    const code = error.code === "StoreFull" ? status.RESOURCE_EXHAUSTED : status.UNAVAILABLE;
    return refusal(code, `${error.code}: ${error.message}`);
  }
  const details = "the coordinator failed to store the part; its log says why";
  return { code: status.INTERNAL, details, level: "fault" };
}

function refusal(code: status, message: string): UploadRefusal {
  const details = message.slice(0, detailsCharsMax);
  return { code, details, level: expectedCodes.has(code) ? "expected" : "trouble" };
}
