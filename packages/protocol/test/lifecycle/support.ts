import {
  type ClosedEvidence,
  type CutEvidence,
  createSnapshotState,
  defaultSnapshotPolicy,
  type ProcessFacts,
  type SentEvidence,
  type SnapshotEffect,
  type SnapshotHappening,
  type SnapshotSpec,
  type SnapshotState,
  type StoredPart,
  stepSnapshot,
} from "../../src/index.ts";

export const a = process("bank/a");
export const b = process("bank/b");

export function process(id: string, incarnation = "1", labels: Record<string, string> = {}): ProcessFacts {
  return { id, incarnation, captureSource: "participant", labels };
}

export function spec(overrides: Partial<SnapshotSpec> = {}): SnapshotSpec {
  return {
    id: "s1",
    createdAtMs: 1_000,
    timeoutMs: 60_000,
    attemptsMax: 3,
    labels: {},
    initiator: "",
    scope: undefined,
    idempotencyKey: "",
    ...overrides,
  };
}

export function cut(overrides: Partial<CutEvidence> = {}): CutEvidence {
  return {
    exact: true,
    reasons: [],
    pauseUs: 100,
    lockWaitUs: 10,
    outgoing: [],
    incoming: [],
    environment: [],
    callsInProcess: 0,
    ...overrides,
  };
}

export function sent(channelId: string, to: string, sentAtCut: number, outboxCount = 0): SentEvidence {
  return { channelId, to, sentAtCut, markersSent: 0, markersSentSum: 0, outboxCount, outboxMessages: outboxCount };
}

/** The receiver got `delivered` frames before its cut and recorded those from there to `sentAtCut`. */
export function closed(channelId: string, from: string, delivered: number, sentAtCut: number): ClosedEvidence {
  const recordedCount = sentAtCut - delivered;
  return {
    channelId,
    from,
    markerNumber: sentAtCut + 1,
    markersReceived: 0,
    markersReceivedSum: 0,
    deliveredAtCut: delivered,
    deliveredSum: (delivered * (delivered + 1)) / 2,
    deliveredMax: delivered,
    recorded: recordedCount === 0 ? [] : [{ first: delivered + 1, last: sentAtCut }],
    recordedCount,
    messages: recordedCount,
  };
}

export function part(kind: StoredPart["kind"], owner: string, processId: string, sha256 = "00"): StoredPart {
  return { kind, owner, processId, sizeBytes: 3, sha256, contentType: "text/plain" };
}

/** Steps one snapshot by hand and keeps what it asked for. */
export class Script {
  readonly state: SnapshotState;
  readonly effects: SnapshotEffect[] = [];
  nowMs: number;

  constructor(state: SnapshotState = createSnapshotState(spec(), defaultSnapshotPolicy)) {
    this.state = state;
    this.nowMs = state.nowMs;
  }

  /** The effects of this input alone. */
  /** The pause before the next attempt passes. */
  pause(): readonly SnapshotEffect[] {
    return this.step({ type: "tick" }, Math.max(1, Math.ceil(this.state.notBeforeMs - this.state.nowMs)));
  }

  step(happening: SnapshotHappening, afterMs = 1): readonly SnapshotEffect[] {
    this.nowMs += afterMs;
    const { effects } = stepSnapshot(this.state, { ...happening, nowMs: this.nowMs });
    this.effects.push(...effects);
    return effects;
  }

  begin(...processes: ProcessFacts[]): readonly SnapshotEffect[] {
    return this.step({ type: "begin", processes });
  }

  get ref() {
    return { snapshotId: this.state.spec.id, attempt: this.state.attempt };
  }

  cut(facts: ProcessFacts, report: CutEvidence) {
    return this.step({ type: "cut", ref: this.ref, processId: facts.id, incarnation: facts.incarnation, report });
  }

  closed(facts: ProcessFacts, report: ClosedEvidence) {
    return this.step({ type: "channel", ref: this.ref, processId: facts.id, incarnation: facts.incarnation, report });
  }

  stored(stored: StoredPart) {
    return this.step({ type: "partStored", ref: this.ref, part: stored });
  }

  written() {
    return this.step({ type: "persisted", write: this.state.write, outcome: "written" });
  }

  /** Two processes, one channel from a to b with one frame in flight, everything reported and stored. */
  gather() {
    this.cut(a, cut({ outgoing: [sent("l:0", b.id, 5)] }));
    this.cut(b, cut({ incoming: ["l:0"] }));
    this.closed(b, closed("l:0", a.id, 4, 5));
    this.stored(part("local", a.id, a.id));
    this.stored(part("local", b.id, b.id));
    return this.stored(part("channel", "l:0", b.id));
  }
}

export function types(effects: readonly SnapshotEffect[]): string[] {
  return effects.filter(({ type }) => type !== "note").map(({ type }) => type);
}
