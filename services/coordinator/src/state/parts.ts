import { createHash } from "node:crypto";
import type { ChannelEntry, ProcessEntry, Snapshot } from "@cutline/proto/snapshot";
import type { PartKey, PartKind, Store } from "../store/port.ts";
import { StateError } from "./errors.ts";

export type PartStore = Pick<Store, "readPart" | "statPart">;

/** A part as the manifest promises it. */
export interface ExpectedPart {
  readonly key: PartKey;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** `undefined`: the process was outside of the scope, or has no state of its own. */
export function localPart(snapshot: Snapshot, process: ProcessEntry): ExpectedPart | undefined {
  return process.stored && process.stateSha256 !== ""
    ? part(snapshot, "local", process.id, process.stateBytes, process.stateSha256)
    : undefined;
}

export function callsPart(snapshot: Snapshot, process: ProcessEntry): ExpectedPart | undefined {
  return process.callsBytes > 0
    ? part(snapshot, "calls", process.id, process.callsBytes, process.callsSha256)
    : undefined;
}

export function recordsPart(snapshot: Snapshot, channel: ChannelEntry): ExpectedPart | undefined {
  return channel.recordsBytes > 0
    ? part(snapshot, "channel", channel.id, channel.recordsBytes, channel.recordsSha256)
    : undefined;
}

export function outboxPart(snapshot: Snapshot, channel: ChannelEntry): ExpectedPart | undefined {
  return channel.outboxBytes > 0
    ? part(snapshot, "outbox", channel.id, channel.outboxBytes, channel.outboxSha256)
    : undefined;
}

function part(snapshot: Snapshot, kind: PartKind, owner: string, sizeBytes: number, sha256: string): ExpectedPart {
  return { key: { snapshotId: snapshot.id, attempt: snapshot.attempt, kind, owner }, sizeBytes, sha256 };
}

function processParts(snapshot: Snapshot, process: ProcessEntry): ExpectedPart[] {
  return [localPart(snapshot, process), callsPart(snapshot, process)].filter((each) => each !== undefined);
}

export function channelParts(snapshot: Snapshot, channel: ChannelEntry): ExpectedPart[] {
  return [recordsPart(snapshot, channel), outboxPart(snapshot, channel)].filter((each) => each !== undefined);
}

export function allParts(snapshot: Snapshot): ExpectedPart[] {
  return [
    ...snapshot.processes.flatMap((process) => processParts(snapshot, process)),
    ...snapshot.channels.flatMap((channel) => channelParts(snapshot, channel)),
  ];
}

/** Rejects with `StateCorrupt` when the store does not list every part with the size and hash of the manifest. */
export async function checkParts(store: PartStore, parts: readonly ExpectedPart[], lookupsMax: number): Promise<void> {
  for (let first = 0; first < parts.length; first += lookupsMax) {
    await Promise.all(parts.slice(first, first + lookupsMax).map((each) => checkPart(store, each)));
  }
}

async function checkPart(store: PartStore, expected: ExpectedPart): Promise<void> {
  const info = await store.statPart(expected.key);
  if (info === undefined) {
    throw new StateError("StateCorrupt", `${named(expected)} is missing from the store`);
  }
  if (info.sizeBytes !== expected.sizeBytes || info.sha256 !== expected.sha256) {
    throw new StateError("StateCorrupt", `${named(expected)} in the store is not the one of the manifest`);
  }
}

/**
 * Streams a part and checks its size and hash on the way. The last chunk is held back until the hash is known to be
 * right, so a reader that counts bytes never takes a corrupt part for a whole one. Rejects with `StateCorrupt`.
 */
export async function* readVerified(store: PartStore, expected: ExpectedPart): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of store.readPart(expected.key)) {
    if (chunk.length === 0) {
      continue;
    }
    sizeBytes += chunk.length;
    if (sizeBytes > expected.sizeBytes) {
      throw new StateError(
        "StateCorrupt",
        `${named(expected)} is longer than the ${expected.sizeBytes} bytes promised`,
      );
    }
    hash.update(chunk);
    if (held !== undefined) {
      yield held;
    }
    held = chunk;
  }
  if (sizeBytes !== expected.sizeBytes || hash.digest("hex") !== expected.sha256) {
    throw new StateError(
      "StateCorrupt",
      `the bytes of ${named(expected)} do not have the size and hash of the manifest`,
    );
  }
  if (held !== undefined) {
    yield held;
  }
}

function named(expected: ExpectedPart): string {
  return `part ${expected.key.kind} of ${expected.key.owner} in snapshot ${expected.key.snapshotId}`;
}
