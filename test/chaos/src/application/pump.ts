import type { Participant } from "@cutline/participant";
import { type Direction, makeMessage, messagesOf, parseCall, readMessage } from "../numbered.ts";
import type { CallRecord, Ledger } from "./ledger.ts";

interface Sink {
  write(message: Buffer): boolean;
  end(): void;
  once(event: "drain", listener: () => void): unknown;
}

export interface PumpOptions {
  readonly participant: Participant;
  readonly ledger: Ledger;
  readonly record: CallRecord;
  readonly direction: Direction;
  readonly stream: Sink;
  /** So many may be sent ahead of what was received on the same call; default: any number. */
  readonly aheadMax?: number;
  /** Called in the section in which the last message was written, in place of `stream.end`. */
  onSent?(): void;
}

/** Writes one direction of a call, as fast as the stream takes it; the returned function goes on after a standstill. */
export function pump(options: PumpOptions): () => void {
  const { participant, ledger, record, direction, stream, aheadMax = Number.POSITIVE_INFINITY } = options;
  const count = messagesOf(parseCall(record.call), direction);
  let standing: "ready" | "full" | "sent" = "ready";
  const write = () => {
    while (standing === "ready" && record.phase === "open" && record.sent < count) {
      if (record.sent - record.received >= aheadMax) return;
      if (!stream.write(send(ledger, record, direction))) {
        standing = "full";
        stream.once("drain", () => {
          standing = "ready";
          goOn();
        });
      }
    }
    if (standing !== "ready" || record.phase !== "open" || record.sent < count) return;
    standing = "sent";
    if (options.onSent === undefined) stream.end();
    else options.onSent();
  };
  const goOn = () => void participant.atomic(write, "pump");
  return goOn;
}

/** The next message of a direction, entered into the ledger as sent: to be written in the same section. */
export function send(ledger: Ledger, record: CallRecord, direction: Direction): Buffer {
  const message = makeMessage(record.call, direction, record.sent + 1, ledger.self);
  ledger.sent(record, readTokens(message));
  return message;
}

function readTokens(message: Buffer): number {
  return Number(message.subarray(0, message.indexOf(10)).toString("latin1").split(" ")[3]);
}

/** Enters a message as received on its call; one that is not as it was sent, or of another call, counts as damaged. */
export function receive(ledger: Ledger, record: CallRecord, direction: Direction, bytes: Buffer): void {
  try {
    const message = readMessage(bytes);
    if (message.call !== record.call || message.direction !== direction) throw new RangeError("of another call");
    ledger.received(record, message);
  } catch {
    // Whatever is wrong with it, it is not what was sent.
    ledger.findings.damaged += 1;
  }
}
