import type { Writable } from "node:stream";
import type { Section, Sections, Wait } from "./section.ts";

/**
 * Sections that wait for room to write. Whether there will be room depends on another process, so a section that
 * listens for "drain" while the stream needs it lets go of the lock, and has it again before its listener runs.
 */
export class DrainWaits<Call> {
  readonly #waits: { readonly section: Section<Call>; readonly wait: Wait }[] = [];

  constructor(stream: Writable, sections: Sections<Call>) {
    stream.on("newListener", (event: string | symbol) => {
      if (event !== "drain" || !stream.writableNeedDrain) return;
      const section = sections.current();
      if (section?.holding !== true) return;
      const wait: Wait = Symbol("room to write");
      section.park(wait);
      this.#waits.push({ section, wait });
    });
  }

  get waiting(): boolean {
    return this.#waits.length > 0;
  }

  /** Calls `deliver` when every section that waits has the lock again. */
  resume(deliver: () => void): void {
    const next = this.#waits.shift();
    if (next === undefined) deliver();
    else next.section.resume(next.wait, () => this.resume(deliver));
  }
}
