import type { AgentMessage } from "@cutline/proto/control";
import type { EnvironmentPeer } from "@cutline/proto/snapshot";
import type { ChannelFacts, CutFacts, SnapshotRef } from "@cutline/protocol";
import type { CaptureResult } from "../capture/result.ts";

export type Report = Extract<
  NonNullable<AgentMessage["body"]>,
  { readonly $case: "cut" } | { readonly $case: "channel" } | { readonly $case: "captureFailed" }
>;

export function cutReport(facts: CutFacts, result: CaptureResult, environment: readonly EnvironmentPeer[]): Report {
  return {
    $case: "cut",
    value: {
      ref: { ...facts.ref },
      exact: result.exact,
      reasons: [...result.reasons],
      pauseUs: wholeUs(result.pauseUs),
      lockWaitUs: wholeUs(result.lockWaitUs),
      epoch: result.epoch,
      outgoing: facts.outgoing.map(({ channel, to, sentAtCut, markersSent, markersSentSum }) => {
        const outbox = result.outboxes.get(channel);
        return {
          channelId: channel,
          to,
          sentAtCut,
          markersSent,
          markersSentSum,
          outboxCount: outbox?.encoded.length ?? 0,
          outboxMessages: outbox?.messages ?? 0,
        };
      }),
      incoming: [...facts.incoming],
      environment: [...environment],
      callsInProcess: result.callsInProcess.length,
      trigger: facts.trigger,
    },
  };
}

export function channelReport(facts: ChannelFacts, messages: number): Report {
  const { ref, channel, recorded, ...counts } = facts;
  const ranges = recorded.map(({ first, last }) => ({ first, last }));
  return { $case: "channel", value: { ...counts, ref: { ...ref }, channelId: channel, recorded: ranges, messages } };
}

export function failureReport(processId: string, ref: SnapshotRef, code: string, message: string): Report {
  return { $case: "captureFailed", value: { ref: { ...ref }, reason: { code, message, processId } } };
}

/** Measured times may have fractions, and the wire has none. */
function wholeUs(timeUs: number): number {
  return Math.max(0, Math.round(timeUs));
}
