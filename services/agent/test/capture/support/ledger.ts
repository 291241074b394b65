/** What one application says of its messages: how many of each direction of each call it has sent and received. */
export interface LedgerState {
  /** `call|request` or `call|answer` to the number of messages, which are numbered from 0. */
  readonly sent: Readonly<Record<string, number>>;
  readonly received: Readonly<Record<string, number>>;
  /** Calls that are over for the application, at its end of them. */
  readonly ended: Readonly<Record<string, string>>;
}

export type Direction = "request" | "answer";

export interface NumberedMessage {
  readonly key: string;
  readonly direction: Direction;
  readonly index: number;
  /** What the first request asks of the handler. */
  readonly order: string;
}

/** An application's state. It notes by itself when a message comes twice, too early or out of turn. */
export class Ledger {
  readonly sent = new Map<string, number>();
  readonly received = new Map<string, number>();
  readonly ended = new Map<string, string>();
  readonly outOfTurn: string[] = [];

  /** The next message of this direction; it counts as sent from here on. */
  send(key: string, direction: Direction, bytes: number, order = ""): Buffer {
    const part = `${key}|${direction}`;
    const index = this.sent.get(part) ?? 0;
    this.sent.set(part, index + 1);
    return encodeMessage({ key, direction, index, order }, bytes);
  }

  receive(message: Buffer): NumberedMessage {
    const read = decodeMessage(message);
    const part = `${read.key}|${read.direction}`;
    const expected = this.received.get(part) ?? 0;
    if (read.index !== expected) this.outOfTurn.push(`${part}: ${read.index} came where ${expected} was expected`);
    this.received.set(part, expected + 1);
    return read;
  }

  /** `end`: which end of the call the application is. */
  end(key: string, end: "caller" | "callee", how: string): void {
    const name = `${key}|${end}`;
    if (!this.ended.has(name)) this.ended.set(name, how);
  }

  state(): LedgerState {
    return {
      sent: Object.fromEntries(this.sent),
      received: Object.fromEntries(this.received),
      ended: Object.fromEntries(this.ended),
    };
  }
}

/** Length-prefixed by nothing: a line of JSON, then filling up to `bytes`. */
function encodeMessage(message: NumberedMessage, bytes: number): Buffer {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  return line.length >= bytes ? line : Buffer.concat([line, Buffer.alloc(bytes - line.length, 46)]);
}

export function decodeMessage(message: Buffer): NumberedMessage {
  const end = message.indexOf(10);
  return JSON.parse(message.subarray(0, end).toString()) as NumberedMessage;
}
