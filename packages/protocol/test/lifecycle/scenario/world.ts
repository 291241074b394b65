import {
  createSnapshotState,
  defaultSnapshotPolicy,
  documentOf,
  type ProcessFacts,
  restoreSnapshotState,
  type SnapshotDocument,
  type SnapshotEffect,
  type SnapshotHappening,
  type SnapshotRef,
  type SnapshotState,
  type StoredPart,
  stepSnapshot,
} from "@cutline/protocol";
import { closed, cut, part, process, sent, spec } from "../support.ts";
import { StoreModel } from "./store.ts";

/** What a leader has asked of the store and has no answer to. */
type Request =
  | { readonly type: "write"; readonly write: number; readonly sequence: number; readonly document: SnapshotDocument }
  | { readonly type: "publish"; readonly sequence: number; readonly document: SnapshotDocument }
  | { readonly type: "readBack" };

export interface Leader {
  readonly name: string;
  readonly term: number;
  readonly state: SnapshotState;
  readonly requests: Request[];
  standing: "here" | "still" | "crashed";
  /** Its clock against the one that nobody has. */
  clockAheadMs: number;
}

/** Coordinators, their agents and one store around `stepSnapshot`, for one snapshot: s1. Does nothing by itself. */
export class ControlWorld {
  readonly store = new StoreModel();
  readonly leaders = new Map<string, Leader>();
  /** Written, and not answered in time: they may still happen. */
  readonly late: { readonly leader: Leader; readonly request: Request }[] = [];
  readonly transcript: string[] = [];
  attemptsMax = 1;
  timeoutMs = 30_000;
  initiator = "";
  nowMs = 1_000;
  #sequence = 0;
  /** Attempts that agents were told the failure of. */
  readonly #failedSaid = new Set<number>();

  leader(name: string): Leader {
    const leader = this.leaders.get(name);
    if (leader === undefined) throw new RangeError(`there is no coordinator ${name}`);
    return leader;
  }

  begin(name: string, processes: readonly ProcessFacts[]): void {
    const { attemptsMax, timeoutMs, initiator } = this;
    const state = createSnapshotState(spec({ attemptsMax, timeoutMs, initiator }), defaultSnapshotPolicy);
    const leader = this.#lead(name, state);
    this.store.create(leader.term, documentOf(state));
    this.step(leader, { type: "begin", processes });
  }

  takeOver(name: string, processes: readonly ProcessFacts[]): void {
    const document = this.store.stored?.document;
    if (document === undefined) throw new RangeError("there is nothing to take over");
    const { attempt, startedAtMs, earlierAttempts } = document;
    const facts = document.processes.map(({ id, incarnation }) => process(id, incarnation));
    const inherited = { attempt, startedAtMs, earlierAttempts, processes: facts };
    const state = restoreSnapshotState(document.spec, defaultSnapshotPolicy, inherited, this.nowMs);
    this.step(this.#lead(name, state), { type: "begin", processes });
  }

  /** The shell's own writes of how far an attempt has come. They are answered at once. */
  writeProgress(leader: Leader): void {
    this.#sequence += 1;
    const outcome = this.store.write(leader.term, this.#sequence, documentOf(leader.state));
    this.#tell(`store: ${outcome}`);
  }

  answer(leader: Leader, how: "answers" | "fails" | "times out"): void {
    const request = leader.requests.shift();
    if (request === undefined) throw new RangeError(`${leader.name} has asked for nothing`);
    if (how === "times out") this.late.push({ leader, request });
    if (how === "answers") this.#carryOut(leader, request, "told");
    else this.step(leader, unknownOutcome(request));
  }

  /** The oldest of what timed out happens at last; who asked for it hears nothing. */
  happenLate(name: string): void {
    const at = this.late.findIndex(({ leader }) => leader.name === name);
    const [entry] = at < 0 ? [] : this.late.splice(at, 1);
    if (entry === undefined) throw new RangeError(`nothing of ${name} is on its way`);
    this.#carryOut(entry.leader, entry.request, "untold");
  }

  crash(leader: Leader): void {
    leader.standing = "crashed";
    for (const request of leader.requests.splice(0)) this.late.push({ leader, request });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const leader of this.leaders.values()) if (leader.standing === "here") this.step(leader, { type: "tick" });
  }

  /** A part has come and is in the store. */
  keep(leader: Leader, stored: StoredPart): void {
    const { attempt, stage } = leader.state;
    if (stage !== "cutting" && stage !== "collecting") {
      this.#tell(`${leader.name} takes no parts`);
      return;
    }
    this.store.parts.add(`${attempt} ${stored.kind} ${stored.owner}`);
    this.step(leader, { type: "partStored", ref: refOf(leader), part: stored });
  }

  /** A has sent 5 frames to B, which has received 4 of them and recorded the last. */
  gather(leader: Leader): void {
    const said = (id: string) => ({ ref: refOf(leader), processId: id, incarnation: incarnationOf(leader, id) });
    this.step(leader, { type: "cut", ...said("A"), report: cut({ outgoing: [sent("A>B", "B", 5)] }) });
    this.step(leader, { type: "cut", ...said("B"), report: cut({ incoming: ["A>B"] }) });
    this.step(leader, { type: "channel", ...said("B"), report: closed("A>B", "A", 4, 5) });
    this.keep(leader, part("local", "A", "A"));
    this.keep(leader, part("local", "B", "B"));
    this.keep(leader, part("channel", "A>B", "B"));
  }

  step(leader: Leader, happening: SnapshotHappening): void {
    const nowMs = this.nowMs + leader.clockAheadMs;
    const { effects } = stepSnapshot(leader.state, { ...happening, nowMs });
    const starts = effects.flatMap((effect) => (effect.type === "sendStart" ? [effect.processId] : []));
    for (const effect of effects) this.#perform(leader, effect);
    if (starts.length > 0) this.#tell(`${leader.name} starts s1/${leader.state.attempt} at ${starts.join(" ")}`);
  }

  #lead(name: string, state: SnapshotState): Leader {
    this.store.term += 1;
    const { term } = this.store;
    const leader: Leader = { name, term, state, requests: [], standing: "here", clockAheadMs: 0 };
    this.leaders.set(name, leader);
    return leader;
  }

  #perform(leader: Leader, effect: SnapshotEffect): void {
    const { name } = leader;
    switch (effect.type) {
      case "note":
        if (effect.event === "attemptFailed") this.#tell(`${name} gives the attempt up: ${effect.fields.reason}`);
        if (effect.event === "reportIgnored") this.#tell(`${name} ignores it`);
        return;
      case "sendStart":
        return;
      case "sendEnd": {
        const reason = effect.reason === "" ? "" : `, ${effect.reason}`;
        this.#judgeEnd(leader, effect);
        this.#tell(`${name} tells the agents: s1/${effect.ref.attempt} ${effect.phase}${reason}`);
        return;
      }
      case "removeParts": {
        const outcome = this.store.removeParts(leader.term, effect.attemptThrough);
        this.#tell(`${name} removes the parts through attempt ${effect.attemptThrough}: ${outcome}`);
        return;
      }
      case "persist": {
        const { document, write } = effect;
        this.#tell(`${name} asks the store to write: ${told(document)}`);
        this.#sequence += 1;
        leader.requests.push({ type: "write", write, sequence: this.#sequence, document });
        return;
      }
      case "verifyParts": {
        const whole = effect.parts.every(({ kind, owner }) =>
          this.store.parts.has(`${effect.ref.attempt} ${kind} ${owner}`),
        );
        this.#tell(`${name} reads ${effect.parts.length} parts back: ${whole ? "whole" : "some are missing"}`);
        const { ref } = effect;
        this.step(
          leader,
          whole ? { type: "partsVerified", ref } : { type: "partsCorrupt", ref, message: "parts are missing" },
        );
        return;
      }
      case "publish":
        this.#tell(`${name} asks the store to publish: ${told(effect.document)}${doubts(effect.document)}`);
        this.#sequence += 1;
        leader.requests.push({ type: "publish", sequence: this.#sequence, document: effect.document });
        return;
      case "readBack":
        this.#tell(`${name} asks the store what it has`);
        leader.requests.push({ type: "readBack" });
        return;
      case "ended":
        this.#tell(`${name} is done: ${effect.outcome}`);
    }
  }

  #carryOut(leader: Leader, request: Request, asker: "told" | "untold"): void {
    const answer = this.#outcomeOf(leader, request);
    if ("outcome" in answer) this.#tell(`store: ${answer.outcome}`);
    const attempt = this.store.stored?.document.attempt ?? 0;
    if (this.store.stored?.published === true && this.#failedSaid.has(attempt)) {
      throw new Error(`I9: attempt ${attempt} is published, and agents were told that it has failed`);
    }
    if (asker === "told") this.step(leader, answer);
  }

  #outcomeOf(leader: Leader, request: Request): SnapshotHappening {
    switch (request.type) {
      case "write": {
        const outcome = this.store.write(leader.term, request.sequence, request.document);
        return { type: "persisted", write: request.write, outcome };
      }
      case "publish":
        return {
          type: "publication",
          outcome: this.store.publish(leader.term, request.sequence, request.document),
        };
      case "readBack":
        return { type: "publicationReadBack", outcome: this.store.readBack() };
    }
  }

  /** I9: the store's document is the only truth about a publication, when something is said and ever after. */
  #judgeEnd(leader: Leader, { ref, phase }: { readonly ref: SnapshotRef; readonly phase: string }): void {
    const { stored } = this.store;
    const published = stored?.published === true && stored.document.attempt === ref.attempt;
    if (phase !== "Completed") this.#failedSaid.add(ref.attempt);
    if ((phase === "Completed") !== published) {
      throw new Error(`I9: ${leader.name} says ${phase} of attempt ${ref.attempt}, the store does not`);
    }
  }

  #tell(line: string): void {
    this.transcript.push(`  ${line}`);
  }
}

export function refOf({ state }: Leader): SnapshotRef {
  return { snapshotId: state.spec.id, attempt: state.attempt };
}

export function incarnationOf({ state }: Leader, id: string): string {
  return state.members.get(id)?.facts.incarnation ?? "1";
}

function told({ phase, reason, attempt }: SnapshotDocument): string {
  return `${phase}${reason === "" ? "" : `, ${reason}`}, attempt ${attempt}`;
}

function doubts({ exact, reasons }: SnapshotDocument): string {
  return exact ? "" : `, not exact: ${reasons.map(({ code, processId }) => `${code} at ${processId}`).join(", ")}`;
}

function unknownOutcome(request: Request): SnapshotHappening {
  switch (request.type) {
    case "write":
      return { type: "persisted", write: request.write, outcome: "unknown" };
    case "publish":
      return { type: "publication", outcome: "unknown" };
    case "readBack":
      return { type: "publicationReadBack", outcome: "unknown" };
  }
}
