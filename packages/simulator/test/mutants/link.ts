import type { Mutant } from "./mutant.ts";

const sender = "protocol/src/link/sender.ts";
const receiver = "protocol/src/link/receiver.ts";
const numbers = "protocol/src/numbers.ts";
const certificate = "protocol/src/certificate.ts";
const proof = "protocol/src/lifecycle/proof.ts";

/** Bugs of the link's resume and of the proof. */
export const linkMutants: readonly Mutant[] = [
  {
    name: "resume-one-too-far",
    breaks: "resume: one frame too many is taken as received",
    file: sender,
    find: "    for (let at = this.#head; at < this.#frames.length; at += 1) {",
    put: "    for (let at = this.#head + 1; at < this.#frames.length; at += 1) {",
  },
  {
    name: "resume-replays-nothing",
    breaks: "resume: what was not acknowledged is not sent again",
    file: sender,
    find: "    return kept;",
    put: "    return kept.slice(0, 0);",
  },
  {
    name: "acknowledge-drops-one-more",
    breaks: "an acknowledgement drops one frame too many",
    file: sender,
    find: "    const drop = through - this.#acknowledged;",
    put: "    const drop = Math.min(this.keptFrames, through - this.#acknowledged + 1);",
  },
  {
    name: "stale-acknowledgement-heeded",
    breaks: "an acknowledgement that comes late takes the count back",
    file: sender,
    find: '    if (through <= this.#acknowledged) return "stale";\n',
    put: "",
  },
  {
    name: "kept-bytes-leak",
    breaks: "I6: acknowledged bytes still count as kept",
    file: sender,
    find: "      this.#keptBytes -= this.#frameBytes[this.#head] ?? 0;\n",
    put: "",
  },
  {
    name: "duplicate-passes",
    breaks: "I3: a frame that comes twice passes twice",
    file: receiver,
    find: '    if (number <= this.#receivedThrough) return "duplicate";',
    put: '    if (number < this.#receivedThrough) return "duplicate";\n    if (number === this.#receivedThrough) return "next";',
  },
  {
    name: "gap-passes",
    breaks: "I3: a gap is not seen",
    file: receiver,
    find: '    if (number !== this.#receivedThrough + 1) return "gap";\n',
    put: "",
  },
  {
    name: "gap-dropped",
    breaks: "I3: what comes behind a gap is dropped as if it were old",
    file: receiver,
    find: '    if (number !== this.#receivedThrough + 1) return "gap";',
    put: '    if (number !== this.#receivedThrough + 1) return "duplicate";',
  },
  {
    name: "acknowledged-one-early",
    breaks: "more is acknowledged than was received",
    file: receiver,
    find: "    this.#unacknowledgedBytes = 0;\n    return this.#receivedThrough;",
    put: "    this.#unacknowledgedBytes = 0;\n    return this.#receivedThrough + 1;",
  },
  {
    name: "ranges-not-joined",
    breaks: "recorded numbers are reported as a range with a hole filled",
    file: numbers,
    find: "    const touchesBefore = before?.last === number - 1;",
    put: "    const touchesBefore = before !== undefined && before.last >= number - 2;",
  },
  {
    name: "certificate-believes-everything",
    breaks: "I4: the certificate is not looked at, with a marker sent a frame late",
    file: certificate,
    find: '  return { verdict: violations.length === 0 ? "valid" : "invalid", violations };\n}\n\n/** All that',
    put: '  return { verdict: "valid", violations: [] };\n}\n\n/** All that',
  },
  {
    name: "missing-receiver-is-fine",
    breaks: "I2: frames towards somebody outside of the picture are not missed",
    file: certificate,
    find: "    if (application === 0) return [];",
    put: "    return [];",
  },
  {
    name: "evidence-of-last-sender",
    breaks: "the proof mixes the ends of channels up",
    file: proof,
    find: "      deliveredAtCut: closed.deliveredAtCut,",
    put: "      deliveredAtCut: closed.deliveredAtCut + closed.recordedCount,",
  },
];
