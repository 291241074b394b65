import type { FrameSink } from "../../src/frames/reader.ts";

/** What a `FrameReader` found, with the pieces of each DATA frame put together again. */
export class EventLog implements FrameSink {
  readonly #events: string[] = [];
  #data: string[] = [];

  /** All so far; the last DATA frame as far as it has come. */
  get events(): string[] {
    this.#closeData();
    return this.#events;
  }

  onDataFrame(streamId: number, frameBytes: number, dataBytes: number): void {
    this.#note(`data ${streamId} ${frameBytes} ${dataBytes}`);
  }

  onData(streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#data.length === 0) this.#data.push("");
    this.#data[0] = ` = ${streamId} ${endStream} `;
    this.#data.push(source.toString("latin1", start, end));
  }

  #note(event: string): void {
    this.#closeData();
    this.#data = [];
    this.#events.push(event);
  }

  #closeData(): void {
    if (this.#data.length === 0) return;
    this.#events[this.#events.length - 1] = `${this.#events.at(-1)?.split(" = ")[0]}${this.#data.join("")}`;
  }

  onHeaders(streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void {
    this.#note(`headers ${streamId} ${source.toString("latin1", start, end)} ${endStream}`);
  }

  onReset(streamId: number, code: number): void {
    this.#note(`reset ${streamId} ${code}`);
  }

  onSettings(isAck: boolean, source: Buffer, start: number, end: number): void {
    this.#note(`settings ${isAck} ${source.toString("hex", start, end)}`);
  }

  onPing(isAck: boolean, source: Buffer, start: number): void {
    this.#note(`ping ${isAck} ${source.toString("hex", start, start + 8)}`);
  }

  onGoaway(lastStreamId: number, code: number, debug: string): void {
    this.#note(`goaway ${lastStreamId} ${code} ${debug}`);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.#note(`window ${streamId} ${increment}`);
  }

  onIdleFrame(): void {
    this.#note("idle");
  }

  onBadFrame(streamId: number): void {
    this.#note(`bad ${streamId}`);
  }
}
