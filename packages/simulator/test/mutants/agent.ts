import type { Mutant } from "./mutant.ts";

const admission = "protocol/src/link/admission.ts";
const dialling = "protocol/src/link/dialling.ts";
const directory = "protocol/src/link/directory.ts";
const strays = "protocol/src/link/strays.ts";
const undelivered = "protocol/src/cut/undelivered.ts";
const channels = "protocol/src/cut/channels.ts";
const desk = "protocol/src/desk/step.ts";

/** Bugs of what an agent decides around the cut: its links, what it has not received, and what it owes the coordinator. */
export const agentMutants: readonly Mutant[] = [
  {
    name: "unknown-link-resumed",
    breaks: "a link that was given up is resumed from nothing",
    file: admission,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is source text.
    find: '  if (hello.resume) return refuse("UNKNOWN_LINK", `${processId} has given up link ${hello.linkId}`);\n',
    put: "",
  },
  {
    name: "resume-forgotten",
    breaks: "a link is opened anew by an acceptor that has given it up",
    file: dialling,
    find: "    resume = true;\n",
    put: "",
  },
  {
    name: "gone-not-forgotten",
    breaks: "I3: a process that nobody lists and that does not answer stays known",
    file: directory,
    find: '    if (!this.#unlisted.has(processId) || isAlive(processId)) return { outcome: "kept" };',
    put: '    if (this.#processes.size >= 0) return { outcome: "kept" };',
  },
  {
    name: "stray-accounted-behind-marker",
    breaks: "I1: a frame of a call that is over counts as delivered before the cut",
    file: strays,
    find: '    if (mayDeliver(this.#channel, frame.number) === "deliver") {\n      noteDelivery(this.#channel, frame.number);\n      return',
    put: "    if (frame.number > 0) {\n      noteDelivery(this.#channel, frame.number);\n      return",
  },
  {
    name: "strays-forgotten",
    breaks: "I2: strays are dropped when a marker lets them go",
    file: strays,
    find: "        accounted.push(entry.frame);\n",
    put: "        if (entry.frame.number % 2 === 0) accounted.push(entry.frame);\n",
  },
  {
    name: "stray-not-counted",
    breaks: "I2: a stray that is let go is not counted as delivered",
    file: strays,
    find: "        noteDelivery(this.#channel, entry.frame.number);\n        accounted",
    put: "        accounted",
  },
  {
    name: "one-call-in-flight",
    breaks: "I2: of one call alone it is seen what was not received",
    file: undelivered,
    find: "for (const frame of keptBy(call)) frames.set(",
    put: "for (const frame of keptBy(call)) if (frames.size === 0 || frames.values().next().value?.call === call) frames.set(",
  },
  {
    name: "first-recording-only",
    breaks: "I8: of two snapshots that record a channel one gets the frame",
    file: channels,
    find: "  for (const recording of recordings) recording.recorded.add(number);\n",
    put: "  recordings[0]?.recorded.add(number);\n",
  },
  {
    name: "never-expired",
    breaks: "I6: what is kept for an attempt of which no end is heard is kept for ever",
    file: desk,
    find: "        if (expiresAtMs > input.nowMs) continue;\n",
    put: "        if (expiresAtMs > 0) continue;\n",
  },
];
