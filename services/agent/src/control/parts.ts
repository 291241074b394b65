import type { UploadHeader } from "@cutline/proto/control";
import type { OwedPart, PartEnded } from "@cutline/protocol";
import { type Logger, reasonOf } from "@cutline/runtime";
import type { CapturedState } from "../capture/result.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { UploadContent } from "./upload.ts";

/** What one part is made of, and how to be rid of it. */
export interface PartContent {
  readonly header: UploadHeader;
  /** Resolves when it is there in whole. Rejects with its reason. */
  readonly content: Promise<UploadContent>;
  /** Aborts when nobody wants the part any more. */
  readonly released: AbortSignal;
  release(): void;
}

/** `encoded`: records, each behind its length. */
export function recordsPart(header: UploadHeader, encoded: readonly Uint8Array[]): PartContent {
  const released = new AbortController();
  let kept = encoded;
  return {
    header,
    content: Promise.resolve({ bytes: () => iterate(kept), sha256: undefined }),
    released: released.signal,
    release() {
      kept = [];
      released.abort();
    },
  };
}

/** The state goes to the coordinator when it has come in whole, and is given back when that is over, or before. */
export function statePart(header: UploadHeader, state: CapturedState): PartContent {
  const released = new AbortController();
  const content = state.bytes.then((spool) => ({ bytes: () => spool.stream(), sha256: spool.sha256 }));
  // Whoever uploads it hears why it does not come in; where nobody does, nobody wants it.
  content.catch(() => undefined);
  return {
    header,
    content,
    released: released.signal,
    release() {
      released.abort();
      state.bytes.then(
        (spool) => spool.discard(),
        () => undefined,
      );
    },
  };
}

/** Never rejects. What comes of a part that was released is of no matter. */
export async function uploadPart(
  client: Pick<CoordinatorClient, "upload">,
  logger: Logger,
  part: OwedPart<PartContent>,
): Promise<PartEnded<PartContent>> {
  const { header, released } = part.content;
  const ended = (outcome: "stored" | "notWanted") => ({ type: "partEnded", part, outcome }) as const;
  const failed = (code: string, message: string) =>
    ({ type: "partEnded", part, outcome: "failed", code, message }) as const;
  let content: UploadContent;
  try {
    content = await part.content.content;
  } catch (error) {
    const { code, message } = reasonOf(error, "StateUnreadable");
    return failed(code, message);
  }
  const uploaded = await client.upload({ header, content }, released);
  if (uploaded.outcome !== "givenUp" || released.aborted) return ended("stored");
  const { code, message } = uploaded;
  const { ref, kind, channelId } = header;
  logger.warn({ ...ref, kind, channelId, code, reason: message }, "upload given up");
  if (code === "NotWanted") return ended("notWanted");
  return failed(`Upload${code}`, `the ${kind} part was not stored: ${message}`);
}

async function* iterate(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
