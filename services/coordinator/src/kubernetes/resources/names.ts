export const group = "cutline.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

export const snapshotKind = "GlobalSnapshot";
export const scheduleKind = "GlobalSnapshotSchedule";
export const snapshotsPlural = "globalsnapshots";
export const schedulesPlural = "globalsnapshotschedules";

/** Holds a GlobalSnapshot back until its data is deleted, or was to be kept. */
export const finalizer = "cutline.dev/data";
/** On a GlobalSnapshot: the name of the schedule that made it. */
export const scheduleLabel = "cutline.dev/schedule";
/** On a GlobalSnapshot: the time of its schedule for which it was made, RFC 3339. */
export const scheduledAtAnnotation = "cutline.dev/scheduled-at";
/** On a snapshot at the coordinator: the UID of the object that asked for it. */
export const uidLabel = "cutline.dev/uid";

/** So that the names of a schedule's snapshots, with a time of up to 10 digits, fit into a label too. */
export const scheduleNameCharsMax = 52;
