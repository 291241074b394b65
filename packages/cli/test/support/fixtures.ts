import { createHash } from "node:crypto";
import { Snapshot } from "@cutline/proto/snapshot";
import { certificateText } from "@cutline/protocol";

/** Two branches of a bank, one of them with a request in flight and an outbox. */
const states = { "bank/north": '{"balance":70}', "bank/south": '{"balance":25}' } as const;

/** Plain JSON, as the coordinator gives it; tests change it as they like. */
// biome-ignore lint/suspicious/noExplicitAny: a document to be tampered with in every place
export type Loose = any;

export function completed(): Loose {
  const snapshot = Snapshot.toJSON(
    Snapshot.fromPartial({
      id: "s-0001",
      phase: "Completed",
      attempt: 1,
      attemptsMax: 3,
      term: 7,
      labels: { reason: "nightly" },
      initiator: "bank/north",
      scope: { namespaces: ["bank"], labelSelector: {} },
      createdAt: "2026-03-01T12:00:00.000Z",
      startedAt: "2026-03-01T12:00:00.010Z",
      endedAt: "2026-03-01T12:00:01.200Z",
      timeoutMs: 30_000,
      durationMs: 1200,
      exact: true,
      partial: true,
      reasons: [
        { code: "EnvironmentSeen", message: "calls with mail.example cross the boundary", processId: "bank/south" },
      ],
      progress: {
        processesTotal: 2,
        processesCut: 2,
        channelsTotal: 2,
        channelsClosed: 2,
        storedBytes: 2048,
        inFlightMessages: 2,
      },
      processes: [
        processEntry("bank/north", { pauseUs: 850, lockWaitUs: 120, callsInProcess: 1 }),
        processEntry("bank/south", {
          pauseUs: 12_400,
          environment: [{ authority: "mail.example:443", direction: "outbound", calls: 4, openCalls: 1 }],
        }),
      ],
      channels: [
        {
          // 1..10 sent, 4 of them a foreign marker; 1-3 and 5-6 delivered, 7-10 in flight.
          id: "l1:0",
          from: "bank/north",
          to: "bank/south",
          sentAtCut: 10,
          markersSent: 1,
          markersSentSum: 4,
          markerNumber: 11,
          markersReceived: 1,
          markersReceivedSum: 4,
          deliveredAtCut: 5,
          deliveredSum: 17,
          deliveredMax: 6,
          recorded: [{ first: 7, last: 10 }],
          recordedCount: 4,
          recordsBytes: 400,
          recordsSha256: "ab".repeat(32),
          outboxCount: 2,
          outboxBytes: 90,
          outboxSha256: "cd".repeat(32),
          messages: 2,
          verdict: "consistent",
          senderReported: true,
          receiverReported: true,
        },
        {
          id: "l1:1",
          from: "bank/south",
          to: "bank/north",
          sentAtCut: 3,
          markerNumber: 4,
          deliveredAtCut: 3,
          deliveredSum: 6,
          deliveredMax: 3,
          verdict: "consistent",
          senderReported: true,
          receiverReported: true,
        },
      ],
    }),
  ) as Loose;
  const defaults = Snapshot.fromJSON(snapshot);
  snapshot.certificate = {
    verdict: "valid",
    channels: 2,
    violations: [],
    digest: sha256(certificateText(defaults.channels)),
  };
  // toJSON leaves defaults out; the coordinator serves every field.
  return structuredClone(Snapshot.fromJSON(snapshot)) as Loose;
}

function processEntry(id: keyof typeof states, more: object) {
  return {
    id,
    incarnation: `${id}-1`,
    phase: "Stored",
    captureSource: "participant",
    exact: true,
    contentType: "application/json",
    stateBytes: Buffer.byteLength(states[id]),
    stateSha256: sha256(states[id]),
    stored: true,
    ...more,
  };
}

/** The global state of {@link completed}; bank/south's data is in base64. */
export function globalState(): Loose {
  const frame = (number: number, source: string) => ({
    number,
    callId: 3,
    kind: "message",
    direction: "request",
    method: "/bank.Branch/Transfer",
    messageIndex: 0,
    pieceOffsetBytes: 0,
    messageBytes: 7,
    payloadBase64: "AAAAAAIIAQ==",
    source,
  });
  return {
    format: "cutline.v1.GlobalState",
    snapshot: completed(),
    processes: [
      {
        ...head("bank/north", "utf8"),
        data: states["bank/north"],
        callsInProcess: [{ incomingId: 9, method: "/bank.Branch/Transfer" }],
      },
      {
        ...head("bank/south", "base64"),
        data: Buffer.from(states["bank/south"]).toString("base64"),
        callsInProcess: [],
      },
    ],
    channels: [
      {
        id: "l1:0",
        from: "bank/north",
        to: "bank/south",
        frames: [...[7, 8, 9, 10].map((number) => frame(number, "records")), frame(0, "outbox"), frame(0, "outbox")],
        messages: [],
      },
      { id: "l1:1", from: "bank/south", to: "bank/north", frames: [], messages: [] },
    ],
  };
}

function head(id: string, encoding: string) {
  return { id, incarnation: `${id}-1`, stored: true, contentType: "application/json", encoding };
}

/** The same document as NDJSON, local states in pieces of three bytes. */
export function ndjson(document: Loose): string[] {
  const lines: object[] = [{ type: "snapshot", format: document.format, snapshot: document.snapshot }];
  for (const { data, callsInProcess, ...process } of document.processes) {
    lines.push({ type: "process", ...process });
    const bytes = Buffer.from(data, process.encoding);
    for (let at = 0; at < bytes.length; at += 3) {
      const piece = bytes.subarray(at, at + 3).toString(process.encoding);
      lines.push({ type: "chunk", process: process.id, encoding: process.encoding, data: piece });
    }
    for (const call of callsInProcess) lines.push({ type: "callInProcess", process: process.id, ...call });
  }
  for (const { frames, messages, ...channel } of document.channels) {
    lines.push({ type: "channel", ...channel });
    for (const frame of frames) lines.push({ type: "frame", channel: channel.id, ...frame });
    for (const message of messages) lines.push({ type: "message", channel: channel.id, ...message });
  }
  lines.push({ type: "end", processes: document.processes.length, channels: document.channels.length });
  return lines.map((line) => `${JSON.stringify(line)}\n`);
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
