import { type NumberRange, sumModulus, sumOfRange } from "./numbers.ts";

/**
 * What both ends of one channel say about one snapshot. The sender counts what it numbered, the receiver counts what
 * its application received and what it recorded; neither count is derived from another, so they prove each other.
 */
export interface ChannelEvidence {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** False: the sender's cut was made before it opened the channel. */
  readonly senderReported: boolean;
  readonly receiverReported: boolean;
  /** The highest number the sender gave before its marker; 0: none. */
  readonly sentAtCut: number;
  /** Markers of other snapshots among `1..sentAtCut`, and the sum of their numbers modulo 2^52. */
  readonly markersSent: number;
  readonly markersSentSum: number;
  /** The number of this snapshot's marker, as received. */
  readonly markerNumber: number;
  readonly markersReceived: number;
  readonly markersReceivedSum: number;
  /** Frames the application had received at the receiver's cut: how many, their sum modulo 2^52, the highest. */
  readonly deliveredAtCut: number;
  readonly deliveredSum: number;
  readonly deliveredMax: number;
  /** The channel state, by number: ascending, disjoint. */
  readonly recorded: readonly NumberRange[];
  readonly recordedCount: number;
}

/** What is known of a channel before either of its ends has said anything. */
export function nothingReported(id: string): ChannelEvidence {
  return {
    id,
    from: "",
    to: "",
    senderReported: false,
    receiverReported: false,
    sentAtCut: 0,
    markersSent: 0,
    markersSentSum: 0,
    markerNumber: 0,
    markersReceived: 0,
    markersReceivedSum: 0,
    deliveredAtCut: 0,
    deliveredSum: 0,
    deliveredMax: 0,
    recorded: [],
    recordedCount: 0,
  };
}

export interface Violation {
  readonly code: ViolationCode;
  readonly message: string;
  readonly channelId: string;
}

export type ViolationCode =
  | "ReceiverMissing"
  | "EvidenceMalformed"
  | "MarkerMisplaced"
  | "ReceivedBeforeSent"
  | "MarkersDiffer"
  | "RecordedOutOfRange"
  | "FramesUnaccounted"
  | "FramesSwapped";

export interface CertificateResult {
  readonly verdict: "valid" | "invalid";
  readonly violations: readonly Violation[];
}

/**
 * Proves I1 and I2 for every channel of a cut. A cut is consistent when no frame is received whose sending lies behind
 * the sender's cut (I1), and complete when the frames delivered before the receiver's cut and the recorded ones are
 * disjoint and together exactly those sent before the sender's cut (I2); Chandy and Lamport, "Distributed Snapshots",
 * ACM TOCS 3(1), 1985, theorem 1. Markers of other snapshots share the numbering and are accounted for apart.
 */
export function checkCertificate(channels: readonly ChannelEvidence[]): CertificateResult {
  const violations = channels.flatMap(checkChannel);
  const seen = new Set<string>();
  for (const channel of channels) {
    if (seen.has(channel.id)) {
      violations.push(violation(channel, "EvidenceMalformed", "is listed twice"));
    }
    seen.add(channel.id);
  }
  return { verdict: violations.length === 0 ? "valid" : "invalid", violations };
}

/** All that is wrong with one channel; empty: it is consistent and complete. */
export function checkChannel(channel: ChannelEvidence): Violation[] {
  const malformed = firstMalformed(channel);
  if (malformed !== undefined) return [violation(channel, "EvidenceMalformed", malformed)];
  if (!channel.receiverReported) {
    const application = channel.sentAtCut - channel.markersSent;
    if (application === 0) return [];
    return [
      violation(
        channel,
        "ReceiverMissing",
        `carried ${application} frames before the sender's cut and was never closed`,
      ),
    ];
  }
  // A channel opened after its sender's cut carries nothing but markers in front of this snapshot's.
  const sentAtCut = channel.senderReported ? channel.sentAtCut : channel.markersReceived;
  const markers = channel.senderReported
    ? { count: channel.markersSent, sum: channel.markersSentSum }
    : { count: sentAtCut, sum: sumOfRange(1, sentAtCut) };
  const found: Violation[] = [];
  const report = (code: ViolationCode, message: string) => found.push(violation(channel, code, message));

  if (channel.markerNumber !== sentAtCut + 1) {
    report("MarkerMisplaced", `has its marker at number ${channel.markerNumber}, expected ${sentAtCut + 1}`);
  }
  if (channel.deliveredMax > sentAtCut) {
    report(
      "ReceivedBeforeSent",
      `delivered frame ${channel.deliveredMax}, but only ${sentAtCut} were sent before the cut (I1)`,
    );
  }
  if (channel.markersReceived !== markers.count || channel.markersReceivedSum !== markers.sum) {
    report(
      "MarkersDiffer",
      `carried ${markers.count} other markers by its sender, ${channel.markersReceived} by its receiver`,
    );
  }
  const last = channel.recorded.at(-1);
  if (last !== undefined && last.last > sentAtCut) {
    report("RecordedOutOfRange", `recorded frame ${last.last}, but only ${sentAtCut} were sent before the cut`);
  }
  const accounted = channel.deliveredAtCut + channel.recordedCount + channel.markersReceived;
  if (accounted !== sentAtCut) {
    report(
      "FramesUnaccounted",
      `sent ${sentAtCut} frames before the cut, but ${channel.deliveredAtCut} delivered + ${channel.recordedCount} recorded + ${channel.markersReceived} markers = ${accounted} (I2)`,
    );
  } else {
    const sum = [
      channel.deliveredSum,
      channel.markersReceivedSum,
      ...channel.recorded.map((r) => sumOfRange(r.first, r.last)),
    ]
      .map(BigInt)
      .reduce((total, part) => total + part, 0n);
    if (Number(sum % BigInt(sumModulus)) !== sumOfRange(1, sentAtCut)) {
      report("FramesSwapped", "accounts for as many frames as were sent, but not for the same ones (I2)");
    } else if (channel.recorded.some((r) => r.first <= channel.deliveredMax && channel.deliveredMax <= r.last)) {
      report("FramesSwapped", `delivered frame ${channel.deliveredMax} and recorded it as well (I2)`);
    }
  }
  return found;
}

/** The exact text whose SHA-256 is the certificate's digest: one line a channel, ordered by id. */
export function certificateText(channels: readonly ChannelEvidence[]): string {
  return [...channels]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((c) =>
      JSON.stringify([
        c.id,
        c.from,
        c.to,
        c.senderReported,
        c.receiverReported,
        c.sentAtCut,
        c.markersSent,
        c.markersSentSum,
        c.markerNumber,
        c.markersReceived,
        c.markersReceivedSum,
        c.deliveredAtCut,
        c.deliveredSum,
        c.deliveredMax,
        c.recorded.map((r) => [r.first, r.last]),
      ]),
    )
    .join("\n");
}

function firstMalformed(channel: ChannelEvidence): string | undefined {
  const counts = {
    sentAtCut: channel.sentAtCut,
    markersSent: channel.markersSent,
    markersSentSum: channel.markersSentSum,
    markerNumber: channel.markerNumber,
    markersReceived: channel.markersReceived,
    markersReceivedSum: channel.markersReceivedSum,
    deliveredAtCut: channel.deliveredAtCut,
    deliveredSum: channel.deliveredSum,
    deliveredMax: channel.deliveredMax,
    recordedCount: channel.recordedCount,
  };
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isSafeInteger(value) || value < 0) return `has ${name} ${value}, which is no count`;
  }
  if (channel.deliveredMax < channel.deliveredAtCut || (channel.deliveredAtCut === 0 && channel.deliveredMax > 0)) {
    return `delivered ${channel.deliveredAtCut} frames, of which it calls ${channel.deliveredMax} the highest`;
  }
  let count = 0;
  let previous = 0;
  for (const { first, last } of channel.recorded) {
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || first <= previous || last < first) {
      return `has the recorded range ${first}-${last} out of order`;
    }
    count += last - first + 1;
    previous = last;
  }
  if (count !== channel.recordedCount) return `lists ${count} recorded frames and counts ${channel.recordedCount}`;
  return undefined;
}

function violation(channel: ChannelEvidence, code: ViolationCode, what: string): Violation {
  return { code, channelId: channel.id, message: `channel ${channel.id} (${channel.from} to ${channel.to}) ${what}` };
}
