import { digestOf } from "../records.ts";
import type { Host } from "./host.ts";
import type { PartOffer, UploadOutcome } from "./messages.ts";
import type { Session } from "./session.ts";
import type { Store } from "./store.ts";

/** Decides whether a part is taken, and takes it to the store, as services/coordinator/src/driver/uploads.ts. */
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
  const member = session?.state.members.get(self.process);
  const isMember = member?.facts.incarnation === self.inc && member.store;
  if (term === undefined || session === undefined || session.state.attempt !== ref.attempt || !isMember) {
    answer("notWanted");
    return;
  }
  const { state } = session;
  const name = `${kind} ${owner}`;
  const part = {
    kind,
    owner,
    processId: self.process,
    sizeBytes: content.length,
    sha256: digestOf(content),
    contentType: "text/plain",
  };
  const known = state.parts.get(name);
  if (known !== undefined) {
    if (known.sha256 !== part.sha256) session.apply({ type: "partStored", ref, part });
    answer("stored");
    return;
  }
  if ((state.stage !== "cutting" && state.stage !== "collecting") || session.traffic.has(name)) {
    answer(session.traffic.has(name) ? "again" : "notWanted");
    return;
  }
  session.traffic.add(name);
  const { epoch } = session;
  const committed = host.answer((outcome: string) => {
    if (session.epoch === epoch) session.traffic.delete(name);
    if (outcome !== "committed") {
      answer("again");
      return;
    }
    session.apply({ type: "partStored", ref, part });
    session.dropLateParts(ref);
    answer("stored");
  });
  store.writePart(term, { snapshotId: ref.snapshotId, attempt: ref.attempt, name }, content, committed);
}
