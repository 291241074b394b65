import type { Snapshot } from "@cutline/proto/snapshot";
import { type Terminal, writeText } from "../io.ts";
import { escapeLine, truncate } from "./text.ts";
import { countOf, formatBytes, formatDurationMs } from "./values.ts";

/** Shows where a running snapshot stands. */
export interface Progress {
  /** Something to say now and then; says it only when it is news. */
  show(snapshot: Snapshot, waitedMs: number): void;
  /** A line that stays. */
  note(text: string): void;
  /** Leaves the terminal in order; nothing is shown after it. */
  end(): void;
}

/** A line that is drawn again in its place on a terminal; elsewhere a line for each change. */
export interface Line {
  /** `aside` is shown on terminals only, and is no news. */
  show(text: string, aside: string): void;
  note(text: string): void;
  end(): void;
}

export function createLine(terminal: Terminal): Line {
  let shown = "";
  const clear = () => {
    if (terminal.isTTY && shown !== "") writeText(terminal, "\r\u001b[2K");
  };
  return {
    show(text, aside) {
      if (terminal.isTTY) {
        const line = truncate(`${text} (${aside})`, terminal.columns - 1);
        if (line === shown) return;
        clear();
        writeText(terminal, line);
        shown = line;
      } else if (text !== shown) {
        writeText(terminal, `${text}\n`);
        shown = text;
      }
    },
    note(text) {
      clear();
      writeText(terminal, `${text}\n`);
      shown = "";
    },
    end() {
      clear();
      shown = "";
    },
  };
}

export const silentLine: Line = { show() {}, note() {}, end() {} };

export function createProgress(terminal: Terminal): Progress {
  const line = createLine(terminal);
  return {
    show(snapshot, waitedMs) {
      line.show(progressText(snapshot), formatDurationMs(Math.floor(waitedMs / 1000) * 1000));
    },
    note: (text) => line.note(text),
    end: () => line.end(),
  };
}

export const silentProgress: Progress = { show() {}, note() {}, end() {} };

function progressText(snapshot: Snapshot): string {
  const { progress } = snapshot;
  const attempt = snapshot.attempt > 1 ? ` (attempt ${snapshot.attempt} of ${snapshot.attemptsMax})` : "";
  const counts =
    progress === undefined
      ? "not begun"
      : `${progress.processesCut} of ${countOf(progress.processesTotal, "process", "processes")} cut, ` +
        `${progress.channelsClosed} of ${countOf(progress.channelsTotal, "channel")} closed, ` +
        `${formatBytes(progress.storedBytes)} stored`;
  return escapeLine(`${snapshot.phase}${attempt}: ${counts}`);
}
