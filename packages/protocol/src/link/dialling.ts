import type { LinkParty, LinkRole } from "./admission.ts";

export interface DialLimits {
  /** How long a broken link is kept for a resume. */
  readonly resumeTimeoutMs: number;
  /** First and longest pause between tries to connect. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** What the acceptor answers to a greeting. */
export type HelloAnswer =
  | ({ readonly type: "welcome" } & LinkParty)
  | { readonly type: "refusal"; readonly code: string; readonly message: string };

/** What came of one connection. */
export type DialOutcome =
  /** It was up, for so long. */
  | { readonly outcome: "lost"; readonly message: string; readonly lastedMs: number }
  | { readonly outcome: "failed"; readonly message: string }
  /** The link is over. */
  | { readonly outcome: "refused"; readonly message: string };

/** How the dialler of a link stands. */
export interface Dialling {
  /** The link has been up: the next greeting resumes it. */
  readonly resume: boolean;
  readonly pauseMs: number;
  readonly brokenSinceMs: number;
  /** What had got across before the connection that is tried now. */
  readonly progress: number;
}

export type NextDial =
  | { readonly next: "dial"; readonly afterMs: number; readonly dialling: Dialling }
  /** The link is over. */
  | { readonly next: "giveUp"; readonly reason: string };

/** The dialler has made a link and connects at once. */
export function beginDialling(nowMs: number, limits: DialLimits): Dialling {
  return { resume: false, pauseMs: limits.retryMinMs, brokenSinceMs: nowMs, progress: 0 };
}

/** What the dialler makes of an answer. */
export type HeardAnswer =
  | { readonly outcome: "up" }
  | { readonly outcome: "failed" | "refused"; readonly message: string }
  /** As `refused`, and the acceptor has to be told: it takes the link to be up. */
  | { readonly outcome: "over"; readonly message: string };

export function hearAnswer(
  link: { readonly peer: LinkParty; readonly dead: boolean },
  answer: HelloAnswer,
): HeardAnswer {
  const { processId, incarnation } = link.peer;
  if (answer.type === "refusal") {
    const message = `process ${processId} refused the link: ${answer.code}, ${answer.message}`;
    // After STALE a connection made since has the link.
    return { outcome: answer.code === "STALE" ? "failed" : "refused", message };
  }
  if (answer.processId !== processId || answer.incarnation !== incarnation) {
    return { outcome: "refused", message: `process ${processId} is not who answered` };
  }
  return link.dead ? { outcome: "over", message: "the link was closed" } : { outcome: "up" };
}

/**
 * What the dialler of a link does after a connection. `progress`: what has got across by now, in either direction,
 * since the link was made.
 */
export function nextDial(
  dialling: Dialling,
  outcome: DialOutcome,
  { peer, progress }: { readonly peer: LinkParty; readonly progress: number },
  nowMs: number,
  limits: DialLimits,
): NextDial {
  if (outcome.outcome === "refused") return { next: "giveUp", reason: outcome.message };
  let { resume, brokenSinceMs, pauseMs } = dialling;
  if (outcome.outcome === "lost") {
    resume = true;
    // A connection that breaks as soon as it is made is no better than none.
    if (progress > dialling.progress || outcome.lastedMs >= limits.retryMaxMs) {
      brokenSinceMs = nowMs;
      pauseMs = limits.retryMinMs;
    }
  }
  if (nowMs - brokenSinceMs > limits.resumeTimeoutMs) {
    return { next: "giveUp", reason: `process ${peer.processId} cannot be reached: ${outcome.message}` };
  }
  const later = Math.min(pauseMs * 2, limits.retryMaxMs);
  return { next: "dial", afterMs: pauseMs, dialling: { resume, brokenSinceMs, pauseMs: later, progress } };
}

/** What an end of a link does when its connection is gone. `absent`: the process is known not to be in the mesh. */
export function afterBreak(
  link: { readonly peer: LinkParty; readonly role: LinkRole },
  membership: "absent" | "present",
  limits: DialLimits,
):
  | { readonly next: "close"; readonly reason: string }
  | { readonly next: "dial" }
  /** Then close. */
  | { readonly next: "awaitResume"; readonly withinMs: number; readonly reason: string } {
  const { processId } = link.peer;
  if (membership === "absent") return { next: "close", reason: `process ${processId} has left` };
  if (link.role === "dialler") return { next: "dial" };
  // The acceptor cannot dial: it waits, for as long as the dialler tries and a little longer.
  const withinMs = limits.resumeTimeoutMs + limits.retryMaxMs;
  return { next: "awaitResume", withinMs, reason: `process ${processId} did not resume the link` };
}

/**
 * Whether a link that is closed now has to be given up on a connection made for it: its acceptor would wait for a
 * resume, and every snapshot meanwhile for a marker that never comes.
 */
export function mustSayGivenUp(link: {
  readonly role: LinkRole;
  readonly connected: boolean;
  readonly dead: boolean;
}): boolean {
  return !link.dead && !link.connected && link.role === "dialler";
}
