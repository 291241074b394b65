import {
  CallInProcess,
  type ChannelEntry,
  type MessageFns,
  type ProcessEntry,
  RecordedFrame,
  type Snapshot,
} from "@cutline/proto/snapshot";
import { readDelimited } from "./delimited.ts";
import { StateError } from "./errors.ts";
import type { StateLimits } from "./limits.ts";
import { createMessageAssembler } from "./messages.ts";
import {
  callsPart,
  type ExpectedPart,
  localPart,
  outboxPart,
  type PartStore,
  readVerified,
  recordsPart,
} from "./parts.ts";
import type { PayloadDecoder } from "./payloads.ts";
import { base64Pieces, isTextType, isUtf8, type StateEncoding, utf8Pieces } from "./text.ts";
import { callView, type Decoding, frameView, messageView } from "./views.ts";

export interface StateReaderOptions {
  readonly store: PartStore;
  /** Completed. */
  readonly snapshot: Snapshot;
  readonly limits: StateLimits;
  readonly decode?: PayloadDecoder | undefined;
}

interface LocalStateText {
  readonly encoding: StateEncoding;
  /** Joined they are the whole state in `encoding`. */
  readonly pieces: AsyncIterable<string>;
}

/**
 * Reads one snapshot's parts as what the API shows. Everything streams; memory stays within {@link StateLimits}.
 * Iteration rejects with a StateError or StoreError when a part is not what the manifest promises.
 */
export interface StateReader {
  readonly snapshot: Snapshot;
  /** Reads a textual state once more than it shows it, to know whether it is UTF-8. */
  local(process: ProcessEntry): Promise<LocalStateText>;
  calls(process: ProcessEntry): AsyncIterable<object>;
  /** The channel's records in the order of their numbers, then its outbox. */
  frames(channel: ChannelEntry): AsyncIterable<object>;
  /** The application messages in those frames, pieces joined, in the order of their last piece. */
  messages(channel: ChannelEntry): AsyncIterable<object>;
}

export function createStateReader(options: StateReaderOptions): StateReader {
  const { store, snapshot, limits } = options;
  const decoding: Decoding = { decode: options.decode, decodeBytesMax: limits.decodeBytesMax };

  async function* records<T>(part: ExpectedPart | undefined, type: MessageFns<T>): AsyncGenerator<T> {
    if (part !== undefined) {
      for await (const bytes of readDelimited(readVerified(store, part), limits.recordBytesMax)) {
        yield decodeRecord(type, bytes);
      }
    }
  }

  async function* recordedFrames(channel: ChannelEntry) {
    for await (const frame of records(recordsPart(snapshot, channel), RecordedFrame)) {
      yield { frame, source: "records" as const };
    }
    for await (const frame of records(outboxPart(snapshot, channel), RecordedFrame)) {
      yield { frame, source: "outbox" as const };
    }
  }

  return {
    snapshot,
    async local(process) {
      const part = localPart(snapshot, process);
      if (part === undefined) {
        return { encoding: "utf8", pieces: noPieces() };
      }
      return isTextType(process.contentType) && (await isUtf8(readVerified(store, part)))
        ? { encoding: "utf8", pieces: utf8Pieces(readVerified(store, part)) }
        : { encoding: "base64", pieces: base64Pieces(readVerified(store, part)) };
    },
    async *calls(process) {
      for await (const call of records(callsPart(snapshot, process), CallInProcess)) {
        yield callView(call, decoding);
      }
    },
    async *frames(channel) {
      for await (const { frame, source } of recordedFrames(channel)) {
        yield frameView(frame, source);
      }
    },
    async *messages(channel) {
      const assembler = createMessageAssembler(limits);
      for await (const { frame, source } of recordedFrames(channel)) {
        const message = frame.kind === "FRAME_KIND_MESSAGE" ? assembler.add(frame, source) : undefined;
        if (message !== undefined) {
          yield messageView(message, decoding);
        }
      }
      for (const message of assembler.end()) {
        yield messageView(message, decoding);
      }
    },
  };
}

async function* noPieces(): AsyncGenerator<string> {}

function decodeRecord<T>(type: MessageFns<T>, bytes: Buffer): T {
  try {
    return type.decode(bytes);
  } catch (error) {
    throw new StateError("StateCorrupt", "a stored record cannot be decoded", { cause: error });
  }
}
