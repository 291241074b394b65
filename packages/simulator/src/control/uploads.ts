import {
  admitUpload,
  differingUpload,
  endUpload,
  growUpload,
  isUploadOver,
  type UploadLimits,
} from "@cutline/protocol";
import { digestOf } from "../records.ts";
import type { Host } from "./host.ts";
import type { PartOffer, UploadOutcome } from "./messages.ts";
import type { Session } from "./session.ts";
import type { PartOutcome, Store } from "./store.ts";

/** More than any run has. */
const limits: UploadLimits = { stateBytesMax: 1e6, snapshotBytesMax: 1e7, partsMax: 1_000 };

/** Takes a part to the simulated store, if it is wanted. */
export function admitPart(
  from: {
    readonly term: number | undefined;
    readonly session: Session | undefined;
    readonly host: Host;
    readonly store: Store;
  },
  { ref, self, kind, owner, content }: PartOffer,
  answer: (outcome: UploadOutcome) => void,
): void {
  const { term, session, host, store } = from;
  const offer = { ref, processId: self.process, incarnation: self.inc, kind, owner };
  const admission = admitUpload(term, session?.machine, offer, limits);
  if (term === undefined || session === undefined || admission.outcome === "refused") {
    answer("notWanted");
    return;
  }
  const sizeBytes = content.length;
  const sha256 = digestOf(content);
  if (admission.outcome === "busy") {
    answer("again");
    return;
  }
  if (admission.outcome === "stored") {
    const { part } = admission;
    if (part.sha256 !== sha256 || part.sizeBytes !== sizeBytes) session.apply(differingUpload(offer, part));
    answer("stored");
    return;
  }
  const { upload } = admission;
  const tooLarge = growUpload(upload, sizeBytes, limits);
  if (tooLarge !== undefined) {
    session.apply(tooLarge);
    answer("notWanted");
    return;
  }
  const key = { ...ref, name: `${kind} ${owner}` };
  const writer = store.newWriter();
  /** Goes on when the store has taken what it was given. */
  const taken = (next: () => void) =>
    host.answer((outcome: PartOutcome | "unknown") => {
      if (outcome === "taken") {
        next();
        return;
      }
      endUpload(upload, "givenUp");
      store.abortPart(key, writer);
      answer(isUploadOver(session.machine, upload) ? "notWanted" : "again");
    });
  const stored = taken(() => {
    endUpload(upload, "committed");
    session.committed(ref, { kind, owner, processId: self.process, sizeBytes, sha256, contentType: "text/plain" });
    answer("stored");
  });
  const commit = taken(() => store.commitPart(term, key, writer, stored));
  const write = taken(() => store.writeChunk(term, key, writer, content, commit));
  store.beginPart(term, key, writer, write);
}
