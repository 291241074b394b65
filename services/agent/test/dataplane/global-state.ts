import { FrameKind, RecordedFrame } from "@cutline/proto/snapshot";
import { type ChannelEvidence, nothingReported, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import type { TestProcess } from "./processes.ts";

/** Puts together what both ends of every channel have reported, as the coordinator does. */
export function evidenceOf(processes: readonly TestProcess[], ref: SnapshotRef): ChannelEvidence[] {
  const key = snapshotKey(ref);
  const evidence = new Map<string, ChannelEvidence>();
  for (const { id, reports } of processes) {
    for (const cut of reports.cuts.filter((each) => snapshotKey(each.ref) === key)) {
      for (const { channel, to, sentAtCut, markersSent, markersSentSum } of cut.outgoing) {
        const sent = { senderReported: true, sentAtCut, markersSent, markersSentSum };
        evidence.set(channel, { ...nothingReported(channel), from: id, to, ...sent });
      }
    }
  }
  for (const { id, reports } of processes) {
    for (const facts of reports.channels.filter((each) => snapshotKey(each.ref) === key)) {
      const { ref: _, channel, from, ...received } = facts;
      const known = evidence.get(channel) ?? { ...nothingReported(channel), from, to: id };
      evidence.set(channel, { ...known, ...received, receiverReported: true });
    }
  }
  return [...evidence.values()];
}

/** Whether every process has cut and every channel that it had at its cut, or that opened since, has closed. */
export function isComplete(processes: readonly TestProcess[], ref: SnapshotRef): boolean {
  const key = snapshotKey(ref);
  return processes.every(({ reports, dataPlane }) => {
    const cut = reports.cuts.some((each) => snapshotKey(each.ref) === key);
    return cut && dataPlane.driver.state.snapshots.get(key)?.phase === "done";
  });
}

/** The recorded frames of one channel, decoded. */
export function recordedFrames(process: TestProcess, ref: SnapshotRef, channel: string): RecordedFrame[] {
  return process.recorder.encode(ref, channel).encoded.map((bytes) => {
    let length = 0;
    let at = 0;
    for (let shift = 0; ; shift += 7, at += 1) {
      const byte = bytes[at] ?? 0;
      length += (byte & 127) << shift;
      if (byte < 128) break;
    }
    const record = bytes.subarray(at + 1);
    if (record.length !== length) throw new RangeError(`a record of ${record.length} bytes says ${length}`);
    return RecordedFrame.decode(record);
  });
}

/** Whole messages among recorded frames, by call path. Throws when pieces do not join. */
export function wholeMessages(frames: readonly RecordedFrame[]): Map<string, Buffer[]> {
  const parts = new Map<string, { index: number; pieces: Buffer[]; bytes: number }>();
  const whole = new Map<string, Buffer[]>();
  for (const frame of frames) {
    if (frame.kind !== FrameKind.MESSAGE) continue;
    const key = `${frame.callId} ${frame.method}`;
    const part = parts.get(key) ?? { index: frame.messageIndex, pieces: [], bytes: 0 };
    parts.set(key, part);
    if (part.index !== frame.messageIndex || part.bytes !== frame.pieceOffsetBytes) {
      throw new RangeError(
        `frame ${frame.number}: piece ${frame.messageIndex}+${frame.pieceOffsetBytes} does not follow`,
      );
    }
    part.pieces.push(Buffer.from(frame.payload));
    part.bytes += frame.payload.length;
    if (part.bytes < frame.messageBytes) continue;
    parts.delete(key);
    const messages = whole.get(frame.method) ?? [];
    whole.set(frame.method, messages);
    messages.push(Buffer.concat(part.pieces));
  }
  return whole;
}
