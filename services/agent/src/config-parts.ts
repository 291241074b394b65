import { CutlineError } from "@cutline/runtime";
import { type CaptureLimits, defaultCaptureLimits } from "./capture/limits.ts";
import { parseCaptureSource, type StateSource } from "./capture/state-source.ts";
import type { AgentConfig } from "./config.ts";
import { parseAddress } from "./dataplane/link/address.ts";

/** What the settings mean beyond their types. Throws a `CutlineError` that names the setting. */
export function readSettings(config: AgentConfig): {
  readonly application: { readonly host: string; readonly port: number };
  readonly source: "participant" | StateSource;
  readonly labels: Record<string, string>;
} {
  const application = parseAddress(config.applicationAddress);
  if (application === undefined) throw wrong("CUTLINE_APPLICATION_ADDRESS", "must be host:port");
  if (parseAddress(config.coordinatorAddress) === undefined)
    throw wrong("CUTLINE_COORDINATOR_ADDRESS", "must be host:port");
  const parsed = parseCaptureSource(config.captureSource);
  if (parsed.outcome === "invalid") throw wrong("CUTLINE_CAPTURE", parsed.message);
  const labels: Record<string, string> = {};
  for (const label of config.labels) {
    const [key, ...value] = label.split("=");
    if (key === undefined || key === "" || value.length === 0)
      throw wrong("CUTLINE_LABELS", `${label} is not key=value`);
    labels[key] = value.join("=");
  }
  return { application, source: parsed.source, labels };
}

/** The limits of captures, as far as they are settings. */
export function captureLimitsOf(config: AgentConfig): CaptureLimits {
  const { captureTimeoutMs, settleTimeoutMs, drainTimeoutMs, guardMs } = config;
  const { stateBytesMax, stateMemoryBytesMax, recordedBytesMax } = config;
  return {
    ...defaultCaptureLimits,
    captureTimeoutMs,
    settleTimeoutMs,
    drainTimeoutMs,
    guardMs,
    stateBytesMax,
    stateMemoryBytesMax,
    recordedBytesMax,
  };
}

function wrong(variable: string, message: string): CutlineError {
  return new CutlineError("ConfigInvalid", `${variable}: ${message}`);
}
