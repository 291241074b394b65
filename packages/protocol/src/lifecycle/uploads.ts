import type { ProcessId, SnapshotRef } from "../cut/state.ts";
import { type PartKindName, partName, type StoredPart } from "./evidence.ts";
import type { SnapshotHappening } from "./messages.ts";
import type { AttemptTraffic, SessionState } from "./session.ts";

/** What an agent offers to be stored. */
export interface OfferedPart {
  readonly ref: SnapshotRef;
  readonly processId: ProcessId;
  readonly incarnation: string;
  readonly kind: PartKindName;
  /** Process id for `local` and `calls`, channel id for `channel` and `outbox`. */
  readonly owner: string;
}

export interface UploadLimits {
  /** One part. */
  readonly stateBytesMax: number;
  /** All parts of one attempt. */
  readonly snapshotBytesMax: number;
  /** Parts of one attempt. */
  readonly partsMax: number;
}

/** A part on its way to the store. */
export interface UploadState {
  readonly offer: OfferedPart;
  readonly traffic: AttemptTraffic;
  bytes: number;
}

export type UploadAdmission =
  | { readonly outcome: "accepted"; readonly upload: UploadState }
  /** Committed earlier: the repeat is compared, not written. */
  | { readonly outcome: "stored"; readonly part: StoredPart }
  /** An earlier upload of the same part has not ended yet. */
  | { readonly outcome: "busy"; readonly message: string }
  /** `failure`, if any, happens to the snapshot. */
  | { readonly outcome: "refused"; readonly message: string; readonly failure?: SnapshotHappening };

/** Whether a part is taken. `session`: who drives its snapshot here; `term`: in which this replica leads. */
export function admitUpload(
  term: number | undefined,
  session: SessionState | undefined,
  offer: OfferedPart,
  limits: Pick<UploadLimits, "partsMax">,
): UploadAdmission {
  const { ref, processId, incarnation, kind } = offer;
  if (term === undefined || session === undefined) return refuse(`no snapshot ${ref.snapshotId} runs here`);
  const { snapshot, traffic } = session;
  if (ref.attempt !== snapshot.attempt) {
    return refuse(`attempt ${ref.attempt} of snapshot ${ref.snapshotId} is over; attempt ${snapshot.attempt} runs`);
  }
  const member = snapshot.members.get(processId);
  if (member === undefined || member.facts.incarnation !== incarnation) {
    return refuse(`${processId} (incarnation ${incarnation}) is no part of snapshot ${ref.snapshotId}`);
  }
  if (!member.store) return refuse(`${processId} is outside of the scope: nothing of it is stored`);
  const name = nameOf(offer);
  const known = snapshot.parts.get(name);
  if (known !== undefined) return { outcome: "stored", part: known };
  if (snapshot.stage !== "cutting" && snapshot.stage !== "collecting") {
    return refuse(`snapshot ${ref.snapshotId} takes no more parts`);
  }
  if (traffic.names.has(name)) {
    return { outcome: "busy", message: `the part ${name} is being uploaded already; try again` };
  }
  if (snapshot.parts.size + traffic.names.size >= limits.partsMax) {
    const message = `an attempt has at most ${limits.partsMax} parts`;
    return refuse(message, { type: "partFailed", ref, processId, kind, code: "StateTooLarge", message });
  }
  traffic.names.add(name);
  return { outcome: "accepted", upload: { offer, traffic, bytes: 0 } };
}

/** The attempt of the upload is over; what still arrives of it is for nobody. */
export function isUploadOver(session: SessionState, upload: UploadState): boolean {
  return session.traffic !== upload.traffic;
}

/** Counts more bytes of the part. `undefined`: it is within its limits; else what happens to the snapshot. */
export function growUpload(
  upload: UploadState,
  moreBytes: number,
  limits: UploadLimits,
): Extract<SnapshotHappening, { type: "partFailed" }> | undefined {
  const { offer, traffic } = upload;
  upload.bytes += moreBytes;
  traffic.bytes += moreBytes;
  const { ref, processId, kind } = offer;
  const tooLarge = (message: string) =>
    ({ type: "partFailed", ref, processId, kind, code: "StateTooLarge", message }) as const;
  if (upload.bytes > limits.stateBytesMax) {
    return tooLarge(`has more than stateBytesMax = ${limits.stateBytesMax} bytes (${upload.bytes} so far)`);
  }
  if (traffic.bytes > limits.snapshotBytesMax) {
    return tooLarge(
      `brings the snapshot over snapshotBytesMax = ${limits.snapshotBytesMax} bytes (${traffic.bytes} so far)`,
    );
  }
  return undefined;
}

/** `givenUp`: its bytes count no more. */
export function endUpload(upload: UploadState, how: "committed" | "givenUp"): void {
  upload.traffic.names.delete(nameOf(upload.offer));
  if (how === "committed") return;
  upload.traffic.bytes -= upload.bytes;
  upload.bytes = 0;
}

/** What happens when a part comes again with another size or hash. */
export function differingUpload({ ref, processId }: OfferedPart, known: StoredPart): SnapshotHappening {
  return { type: "partStored", ref, part: { ...known, processId, sha256: "differs" } };
}

function nameOf({ kind, owner }: OfferedPart): string {
  return partName(kind, owner);
}

function refuse(message: string, failure?: SnapshotHappening): UploadAdmission {
  return { outcome: "refused", message, ...(failure === undefined ? {} : { failure }) };
}
