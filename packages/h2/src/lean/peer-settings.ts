import { ConnectionError, ErrorCode } from "../errors.ts";
import { defaultMaxFrameBytes, Setting, windowBytesMax } from "../frames/constants.ts";
import { connectionLimits } from "./limits.ts";

/** Whoever goes by a peer's SETTINGS. */
export interface SettingsTarget {
  limitTable(bytes: number): void;
  limitStreams(streams: number): void;
  changeStreamWindows(bytes: number): void;
}

/** Takes the peer's SETTINGS (RFC 9113, section 6.5.2). `side`: ours. Throws {@link ConnectionError} for wrong values. */
export function takeSettings(
  side: "server" | "client",
  source: Buffer,
  start: number,
  end: number,
  target: SettingsTarget,
): void {
  if (end - start > connectionLimits.settingsInFrameMax * 6) {
    throw new ConnectionError(ErrorCode.enhanceYourCalm, "the peer changes too many settings at once");
  }
  for (let at = start; at < end; at += 6) take(side, source.readUInt16BE(at), source.readUInt32BE(at + 2), target);
}

function take(side: "server" | "client", id: number, value: number, target: SettingsTarget): void {
  switch (id) {
    case Setting.headerTableSize:
      target.limitTable(value);
      return;
    case Setting.enablePush:
      if (value > 1 || (value === 1 && side === "client")) {
        throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_ENABLE_PUSH is ${value}`);
      }
      return;
    case Setting.maxConcurrentStreams:
      target.limitStreams(value);
      return;
    case Setting.initialWindowSize:
      if (value > windowBytesMax) {
        throw new ConnectionError(ErrorCode.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE is ${value}`);
      }
      target.changeStreamWindows(value);
      return;
    case Setting.maxFrameSize:
      if (value < defaultMaxFrameBytes || value > 0xff_ffff) {
        throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_MAX_FRAME_SIZE is ${value}`);
      }
      // Larger frames would only make others wait.
      return;
  }
}
