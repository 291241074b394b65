import { Readable } from "node:stream";
import type { Snapshot } from "@cutline/proto/snapshot";
import type { Logger } from "@cutline/runtime";
import { Type } from "@sinclair/typebox";
import type { FastifyReply } from "fastify";
import type { Snapshots } from "../../snapshots.ts";
import { batched, channelDocumentText, documentLines, documentText } from "../../state/document.ts";
import { allParts, channelParts, checkParts, localPart, type PartStore, readVerified } from "../../state/parts.ts";
import type { PayloadDecoder } from "../../state/payloads.ts";
import { createStateReader } from "../../state/reader.ts";
import { negotiate } from "../accept.ts";
import type { HttpLimits } from "../limits.ts";
import { HttpProblem, retryAfter, snapshotMissing } from "../problems.ts";
import { channelParams, processParams, snapshotParams } from "../requests.ts";
import { jsonResponse, problemResponses } from "../responses.ts";
import type { Api } from "../type-provider.ts";

export interface StateRoutesOptions {
  readonly snapshots: Snapshots;
  readonly store: PartStore;
  readonly logger: Logger;
  readonly limits: HttpLimits;
  readonly decode: PayloadDecoder | undefined;
}

const tags = ["state"];
const readState = { access: { on: "state", verb: "get" }, audit: "state.read" } as const;
const stateTypes = ["application/json", "application/x-ndjson"] as const;
/** How much text is put together before it is written. */
const batchBytes = 64 * 1024;
/** When one of the running reads may have ended. */
const readRetryMs = 2_000;
/** A media type that may stand in a header as it is. */
const mediaTypeForm = /^[\w.+-]{1,127}\/[\w.+-]{1,127}(;\s*[\w.+-]{1,127}=[\w.+-]{1,127}){0,4}$/;

export function registerState(api: Api, options: StateRoutesOptions): void {
  const { snapshots, store, limits, decode } = options;
  const send = createSender(options);
  const readerOf = (snapshot: Snapshot) => createStateReader({ store, snapshot, limits: limits.state, decode });

  api.get(
    "/v1/snapshots/:id/state",
    {
      schema: {
        operationId: "getGlobalState",
        summary: "The whole global state, streamed",
        tags,
        params: snapshotParams,
        response: {
          200: {
            description: "A document that breaks off was torn: its connection ends before the body does.",
            content: {
              "application/json": { schema: Type.Ref("GlobalState") },
              "application/x-ndjson": { schema: Type.Ref("GlobalStateLine") },
            },
          },
          ...problemResponses(404, 406, 409, 500, 503),
        },
      },
      config: { produces: stateTypes, streams: true, ...readState },
      exposeHeadRoute: false,
    },
    async (request, reply) => {
      const snapshot = await completed(snapshots, request.params.id);
      await checkParts(store, allParts(snapshot), limits.state.lookupsMax);
      const type = negotiate(request.headers.accept, stateTypes);
      const reader = readerOf(snapshot);
      const text = type === "application/json" ? documentText(reader) : documentLines(reader);
      reply.type(type === "application/json" ? "application/json; charset=utf-8" : type);
      return send(reply, { snapshotId: snapshot.id, part: "all" }, batched(text, batchBytes));
    },
  );

  api.get(
    "/v1/snapshots/:id/processes/:pid/state",
    {
      schema: {
        operationId: "getProcessState",
        summary: "One local state, as its process gave it",
        tags,
        params: processParams,
        response: {
          200: {
            description: "The bytes, with the content type of the state. ETag is their SHA-256.",
            headers: { ETag: { type: "string" } },
            content: { "*/*": { schema: { type: "string", format: "binary" } } },
          },
          304: { description: "If-None-Match names the hash." },
          ...problemResponses(404, 406, 409, 500, 503),
        },
      },
      config: { produces: false, streams: true, ...readState },
      exposeHeadRoute: false,
    },
    async (request, reply) => {
      const snapshot = await completed(snapshots, request.params.id);
      const process = snapshot.processes.find((each) => each.id === request.params.pid);
      if (process === undefined) {
        throw new HttpProblem(404, "ProcessNotFound", "The snapshot has no process with this id.");
      }
      const part = localPart(snapshot, process);
      if (part === undefined) {
        throw new HttpProblem(404, "StateNotStored", "The snapshot holds no local state of this process.");
      }
      const contentType = mediaTypeForm.test(process.contentType) ? process.contentType : "application/octet-stream";
      negotiate(request.headers.accept, [(contentType.split(";", 1)[0] ?? "").toLowerCase()]);
      const etag = `"${part.sha256}"`;
      reply.header("etag", etag);
      if (request.headers["if-none-match"]?.split(",").some((each) => each.trim() === etag)) {
        return reply.code(304).send();
      }
      await checkParts(store, [part], limits.state.lookupsMax);
      // The bytes are an application's: a browser must neither run nor show them as a page of this API.
      reply.header("content-disposition", "attachment");
      reply.header("content-security-policy", "default-src 'none'; sandbox");
      reply.header("content-length", part.sizeBytes);
      reply.header("content-type", contentType);
      return send(reply, { snapshotId: snapshot.id, part: process.id }, readVerified(store, part));
    },
  );

  api.get(
    "/v1/snapshots/:id/channels/:cid",
    {
      schema: {
        operationId: "getChannelState",
        summary: "One channel state with its entry in the certificate",
        tags,
        params: channelParams,
        response: {
          200: jsonResponse("Frames, and the messages they make.", Type.Ref("CertifiedChannelState")),
          ...problemResponses(404, 406, 409, 500, 503),
        },
      },
      config: { streams: true, ...readState },
      exposeHeadRoute: false,
    },
    async (request, reply) => {
      const snapshot = await completed(snapshots, request.params.id);
      const channel = snapshot.channels.find((each) => each.id === request.params.cid);
      if (channel === undefined) {
        throw new HttpProblem(404, "ChannelNotFound", "The snapshot has no channel with this id.");
      }
      await checkParts(store, channelParts(snapshot, channel), limits.state.lookupsMax);
      reply.type("application/json; charset=utf-8");
      const text = channelDocumentText(readerOf(snapshot), channel);
      return send(reply, { snapshotId: snapshot.id, part: channel.id }, batched(text, batchBytes));
    },
  );
}

async function completed(snapshots: Snapshots, id: string): Promise<Snapshot> {
  const snapshot = await snapshots.get(id);
  if (snapshot === undefined) {
    throw snapshotMissing();
  }
  if (snapshot.phase !== "Completed") {
    const detail = `The snapshot is in the phase ${snapshot.phase}; only a Completed one has a state.`;
    throw new HttpProblem(409, "SnapshotNotCompleted", detail);
  }
  return snapshot;
}

interface ReadFields {
  readonly snapshotId: string;
  /** A process id, a channel id, or all. */
  readonly part: string;
}

/** Streams what a state is made of, for a bounded number of readers at a time. */
function createSender({ logger, limits }: StateRoutesOptions) {
  let reads = 0;

  async function* watched(chunks: AsyncIterable<Uint8Array>, fields: ReadFields): AsyncGenerator<Uint8Array> {
    let sentBytes = 0;
    try {
      for await (const chunk of chunks) {
        sentBytes += chunk.length;
        yield chunk;
      }
      logger.info({ ...fields, sentBytes }, "state read");
    } catch (error) {
      // Fastify cuts the connection when the stream fails, so nobody takes the torn answer for a whole one.
      logger.error({ ...fields, sentBytes, error }, "state cannot be read, its answer is torn");
      throw error;
    }
  }

  return (reply: FastifyReply, fields: ReadFields, chunks: AsyncIterable<Uint8Array>): FastifyReply => {
    if (reads >= limits.stateReadsMax) {
      throw new HttpProblem(503, "TooManyReads", `${limits.stateReadsMax} states are being read already.`, {
        headers: retryAfter(readRetryMs),
      });
    }
    reads += 1;
    const stream = Readable.from(watched(chunks, fields), { objectMode: true, highWaterMark: 1 });
    stream.once("close", () => {
      reads -= 1;
    });
    reply.header("cache-control", "no-store");
    return reply.send(stream);
  };
}
