import type { Mutant } from "./mutant.ts";

const attempt = "protocol/src/lifecycle/attempt.ts";
const completion = "protocol/src/lifecycle/completion.ts";
const document = "protocol/src/lifecycle/document.ts";
const ending = "protocol/src/lifecycle/ending.ts";
const lifecycle = "protocol/src/lifecycle/step.ts";
const state = "protocol/src/lifecycle/state.ts";

/** Bugs of a snapshot's life at the coordinator. */
export const lifeMutants: readonly Mutant[] = [
  {
    name: "attempt-ignored",
    breaks: "I8: reports of an earlier attempt count for the present one",
    file: lifecycle,
    find: '  if ("ref" in input && (input.ref.attempt !== state.attempt || input.ref.snapshotId !== state.spec.id)) return;',
    put: '  if ("ref" in input && input.ref.snapshotId !== state.spec.id) return;',
  },
  {
    name: "late-join-not-told",
    breaks: "a process that attaches while others cut is not told",
    file: lifecycle,
    find: '  switch (state.stage) {\n    case "cutting":\n    case "collecting":\n    case "verifying":\n    case "publishing":\n    case "readingBack":\n    case "withdrawing":\n      return { ref:',
    put: '  switch (state.stage) {\n    case "withdrawing":\n      return { ref:',
  },
  {
    name: "late-join-no-member",
    breaks: "a process that attaches while others cut is told, and not waited for",
    file: lifecycle,
    find: '  if (state.stage !== "cutting" || state.members.has(facts.id)) return;',
    put: "  return;",
  },
  {
    name: "unreached-not-asked",
    breaks: "I6: what the markers of an initiator do not reach is never asked",
    file: lifecycle,
    find: "      askTheUnreached(state, effects);\n",
    put: "",
  },
  {
    name: "deadline-not-kept",
    breaks: "I6: nothing ends at its deadline",
    file: lifecycle,
    find: "state.nowMs >= deadlineMs(state)) exceedDeadline",
    put: "state.nowMs >= deadlineMs(state) + 1_000_000) exceedDeadline",
  },
  {
    name: "fenced-not-heeded",
    breaks: "I9: a leader that was passed over goes on",
    file: lifecycle,
    find: '  if (outcome === "fenced") {\n    supersede(state, effects);\n    return;\n  }\n  if (write',
    put: '  if (outcome === "fenced") outcome = "written";\n  if (write',
  },
  {
    name: "attempt-not-recorded",
    breaks: "I8: an attempt begins before the store knows of it",
    file: attempt,
    find: "  if (state.attemptRecorded < state.attempt) {",
    put: "  if (state.attemptRecorded > state.attempt) {",
  },
  {
    name: "earlier-gathering-kept",
    breaks: "I8: a new attempt keeps what the one before had gathered",
    file: attempt,
    find: "  state.closed = new Map();\n  state.parts = new Map();\n  state.violations",
    put: "  state.violations",
  },
  {
    name: "attempt-not-counted",
    breaks: "I8: the next attempt has the number of the one before",
    file: attempt,
    find: "  state.attempt = attempt + 1;",
    put: "  state.attempt = attempt;",
  },
  {
    name: "channels-not-awaited",
    breaks: "I2: channels that the sender alone knows are not waited for, nor missed",
    file: completion,
    find: "    channels: [...awaitedChannels(state)].filter((channel) => !state.closed.has(channel)),",
    put: "    channels: [],",
  },
  {
    name: "parts-not-awaited",
    breaks: "I5: published before every part is stored (acknowledged before stored)",
    file: completion,
    find: "filter((name) => !state.parts.has(name)),\n  };",
    put: "filter((name) => !state.parts.has(name)).slice(1),\n  };",
  },
  {
    name: "outbox-not-awaited",
    breaks: "I5: published without the outboxes",
    file: completion,
    find: '    if (sent.outboxCount > 0) names.push(partName("outbox", sent.channelId));',
    put: '    if (sent.outboxCount > 1_000) names.push(partName("outbox", sent.channelId));',
  },
  {
    name: "exact-in-doubt",
    breaks: "I4: a picture is exact when any capture was",
    file: document,
    find: "    exact: state.certified && members.every(({ cut }) => cut?.exact === true),",
    put: "    exact: state.certified && members.some(({ cut }) => cut?.exact === true),",
  },
  {
    name: "completed-before-published",
    breaks: "I9: Completed is said before the store has it",
    file: ending,
    find: '  effects.push({ type: "publish", ...completedDocument(state) });',
    put: '  effects.push({ type: "publish", ...completedDocument(state) }, { type: "sendEnd", ref: refOf(state), phase: "Completed", reason: "" });',
  },
  {
    name: "unknown-is-published",
    breaks: "I9: a publication without an answer counts as made",
    file: ending,
    find: '    case "already":\n      complete(state, effects);',
    put: '    case "already":\n    case "unknown" as "already":\n      complete(state, effects);',
  },
  {
    name: "unknown-is-failed",
    breaks: "I9: a publication without an answer counts as failed",
    file: ending,
    find: '    case "unknown":\n      effects.push({ type: "note", level: "warn", event: "publicationUnknown"',
    put: '    case "unknown":\n      end(state, "Failed", "PublicationFailed", "", effects);\n      return;\n      effects.push({ type: "note", level: "warn", event: "publicationUnknown"',
  },
  {
    name: "completed-removes-its-parts",
    breaks: "I5: completion removes the parts of the very attempt",
    file: ending,
    find: "attemptThrough: state.attempt - 1 });",
    put: "attemptThrough: state.attempt });",
  },
  {
    name: "take-over-keeps-the-attempt",
    breaks: "a new leader goes on with the attempt of the one before",
    file: lifecycle,
    find: '  failAttempt(state, "CoordinatorRestarted", "the coordinator was replaced while the attempt ran", effects);',
    put: "",
  },
  {
    name: "take-over-counts-anew",
    breaks: "I8: a new leader counts attempts from 1",
    file: state,
    find: "  state.attempt = inherited.attempt;",
    put: "  state.attempt = 1;",
  },
];
