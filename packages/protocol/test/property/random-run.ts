import { type SnapshotRef, snapshotKey } from "@cutline/protocol";
import { World } from "../scenario/world.ts";

interface LinkPlan {
  readonly one: string;
  readonly other: string;
  readonly name: string;
}

/** What can happen next in a world: found anew before every choice, so every choice makes a run that can be. */
interface Choice {
  readonly weight: number;
  readonly run: () => void;
}

export interface RunPlan {
  readonly processes: number;
  /** Pairs of processes; the same pair again is another link between the two. */
  readonly links: readonly (readonly [number, number])[];
  /** How many of the links open before anything else happens. */
  readonly openFirst: number;
  readonly tokens: number;
  readonly snapshots: number;
  /** One number decides one event. */
  readonly choices: readonly number[];
}

export interface RunResult {
  readonly world: World;
  /** Started and not given up: these have to be complete. */
  readonly finished: readonly string[];
  /** Given up: no process may know of these any more, though their markers came late. */
  readonly aborted: readonly string[];
}

/** Makes a random run and lets everything that is on its way come to its end. */
export function run(plan: RunPlan): RunResult {
  const random = new RandomRun(plan);
  for (const choice of plan.choices) random.chooseOne(choice);
  random.settle();
  const finished = [...random.started].filter((key) => !random.aborted.has(key));
  return { world: random.world, finished, aborted: [...random.aborted] };
}

class RandomRun {
  readonly world = new World();
  readonly started = new Set<string>();
  readonly aborted = new Set<string>();
  readonly #refs: SnapshotRef[] = [];
  readonly #unopened: LinkPlan[] = [];
  readonly #unaccepted: LinkPlan[] = [];
  /** A given-up snapshot ends at every process at another time. */
  readonly #endings: { process: string; ref: SnapshotRef }[] = [];

  constructor(plan: RunPlan) {
    const names = Array.from({ length: plan.processes }, (_, index) => `p${index}`);
    for (const name of names) this.world.addProcess(name);
    plan.links.forEach(([a, b], index) => {
      const one = names[a % names.length];
      const other = names[b % names.length];
      if (one === undefined || other === undefined || one === other) return;
      this.#unopened.push({ one, other, name: `#${index}` });
    });
    for (const link of this.#unopened.splice(0, plan.openFirst)) {
      this.#dial(link);
      this.#accept();
    }
    for (let index = 0; index < plan.tokens; index += 1) {
      this.world.actor(names[index % names.length] ?? "").holding.add(`t${index}`);
    }
    for (let index = 0; index < plan.snapshots; index += 1) {
      this.#refs.push({ snapshotId: `s${index >> 1}`, attempt: 1 + (index % 2) });
    }
  }

  chooseOne(choice: number): void {
    const choices = [...this.#traffic(), ...this.#snapshots(), ...this.#openings()];
    let at = choice % choices.reduce((total, { weight }) => total + weight, 0);
    for (const { weight, run } of choices) {
      at -= weight;
      if (at < 0) {
        run();
        return;
      }
    }
  }

  /** The coordinator starts what has not heard of a snapshot; then everything arrives and is received. */
  settle(): void {
    while (this.#unaccepted.length > 0) this.#accept();
    for (const ref of this.#refs) {
      if (!this.started.has(snapshotKey(ref)) || this.aborted.has(snapshotKey(ref))) continue;
      for (const process of this.world.actors.keys()) this.world.start(process, ref, "start");
    }
    for (const { process, ref } of this.#endings.splice(0)) this.world.end(process, ref);
    for (let events = -1; events !== this.world.events.length; ) {
      events = this.world.events.length;
      for (const wire of this.world.wires.values()) {
        while (wire.outbox.length > 0) this.world.moveOutbox(wire.id);
        while (wire.line.framesOnTheWay > 0) this.world.arrive(wire.id);
      }
      for (const actor of this.world.actors.values()) {
        for (const ref of [...actor.capturing.values()]) this.world.capture(actor.id, ref);
        this.#receiveAll(actor.id);
      }
    }
  }

  #traffic(): Choice[] {
    const choices: Choice[] = [];
    for (const wire of this.world.wires.values()) {
      const sender = this.world.actor(wire.from);
      const receiver = this.world.actor(wire.to);
      const token = [...sender.holding][0];
      if (sender.state.outgoing.has(wire.id)) {
        if (token !== undefined) choices.push({ weight: 4, run: () => this.world.write(wire.id, token) });
        if (wire.outbox.length > 0) choices.push({ weight: 5, run: () => this.world.moveOutbox(wire.id) });
      }
      if (wire.line.framesOnTheWay > 0 && receiver.state.incoming.has(wire.id)) {
        choices.push({ weight: 5, run: () => this.world.arrive(wire.id) });
      }
      // Calls are independent: of what is ready, the application may take any.
      const ready = (receiver.inbox.get(wire.id) ?? []).filter((arrived) => arrived.standing === "ready");
      for (const arrived of [ready[0], ready.at(-1)]) {
        if (arrived !== undefined) choices.push({ weight: 2, run: () => this.world.receive(wire.id, arrived.token) });
      }
    }
    return choices;
  }

  #snapshots(): Choice[] {
    const choices: Choice[] = [{ weight: 1, run: () => undefined }];
    for (const actor of this.world.actors.values()) {
      for (const ref of this.#refs) choices.push({ weight: 1, run: () => this.#start(actor.id, ref) });
      for (const ref of actor.capturing.values()) {
        choices.push({ weight: 3, run: () => this.world.capture(actor.id, ref) });
      }
    }
    const abortable = this.#refs.find((ref) => ref.attempt === 1 && this.started.has(snapshotKey(ref)));
    if (abortable !== undefined && !this.aborted.has(snapshotKey(abortable))) {
      choices.push({ weight: 1, run: () => this.#abort(abortable) });
    }
    this.#endings.forEach(({ process, ref }, index) => {
      choices.push({
        weight: 2,
        run: () => {
          this.#endings.splice(index, 1);
          this.world.end(process, ref);
        },
      });
    });
    return choices;
  }

  #openings(): Choice[] {
    const choices: Choice[] = [];
    if (this.#unaccepted.length > 0) choices.push({ weight: 2, run: () => this.#accept() });
    const link = this.#unopened[0];
    if (link !== undefined) {
      const run = () => {
        this.#unopened.shift();
        this.#dial(link);
      };
      choices.push({ weight: 2, run });
    }
    return choices;
  }

  #start(process: string, ref: SnapshotRef): void {
    if (this.aborted.has(snapshotKey(ref))) return;
    this.started.add(snapshotKey(ref));
    this.world.start(process, ref, "start");
  }

  #abort(ref: SnapshotRef): void {
    this.aborted.add(snapshotKey(ref));
    for (const process of this.world.actors.keys()) this.#endings.push({ process, ref });
  }

  #dial(link: LinkPlan): void {
    this.world.addLink(link.one, link.other, link.name);
    this.world.openEnd(link.one, link.other, link.name);
    this.#unaccepted.push(link);
  }

  #accept(): void {
    const link = this.#unaccepted.shift();
    if (link !== undefined) this.world.openEnd(link.other, link.one, link.name);
  }

  #receiveAll(process: string): void {
    for (const [channel, inbox] of this.world.actor(process).inbox) {
      for (const arrived of [...inbox]) {
        if (arrived.standing === "ready") this.world.receive(channel, arrived.token);
      }
    }
  }
}
