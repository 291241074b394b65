import { setTimeout as sleep } from "node:timers/promises";
import type { Behaviour, ChaosProxy, Ending, Way } from "./proxy.ts";

export type FaultKind =
  | "reset at once"
  | "cut at a byte, reset"
  | "cut at a byte, closed"
  | "all links at once"
  | "black hole, healed"
  | "black hole, bytes lost"
  | "one way held"
  | "one way lost"
  | "slow peer"
  | "byte by byte"
  | "delays"
  | "silence beyond three pings";

export interface FaultCount {
  injected: number;
  /** Connections that it ended. */
  cuts: number;
}

/** How often each is drawn. The long silence is not drawn: it takes most of a minute. */
const draws: readonly FaultKind[] = [
  ...Array<FaultKind>(4).fill("cut at a byte, reset"),
  ...Array<FaultKind>(4).fill("cut at a byte, closed"),
  "reset at once",
  "reset at once",
  "all links at once",
  "black hole, healed",
  "black hole, bytes lost",
  "one way held",
  "one way lost",
  "slow peer",
  "byte by byte",
  "delays",
];

const ways: readonly Way[] = ["there", "back"];
const betweenMsMax = 250;
/** A cut at a byte waits so long for its byte. */
const cutWithinMs = 2_000;
/** Bytes that pass before a cut: within a frame, or a few of them, or many. */
const cutBytesMax = [20, 2_000, 100_000] as const;
/** An agent notices a silent peer after three pings, which is at most 20 s. */
const silenceMs = 22_000;

/** Injects faults one after another at random places until it is told to stop; then everything is healed. */
export class Faults {
  readonly counts = new Map<FaultKind, FaultCount>();
  readonly #proxies: readonly ChaosProxy[];
  readonly #random: () => number;

  constructor(proxies: readonly ChaosProxy[], random: () => number) {
    this.#proxies = proxies;
    this.#random = random;
  }

  get cuts(): number {
    return [...this.counts.values()].reduce((sum, { cuts }) => sum + cuts, 0);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.inject(this.#pick(draws));
      await sleep(this.#random() * betweenMsMax);
    }
  }

  /** Injects one fault and stays until it is over. */
  async inject(kind: FaultKind): Promise<void> {
    const cuts = await this.#do(kind, this.#pick(this.#proxies));
    const count = this.counts.get(kind) ?? { injected: 0, cuts: 0 };
    this.counts.set(kind, { injected: count.injected + 1, cuts: count.cuts + cuts });
  }

  async #do(kind: FaultKind, proxy: ChaosProxy): Promise<number> {
    const way = this.#pick(ways);
    const someMs = 100 + this.#random() * 900;
    switch (kind) {
      case "reset at once":
        return proxy.breakAll("reset");
      case "cut at a byte, reset":
        return this.#cutAtByte(proxy, way, "reset");
      case "cut at a byte, closed":
        return this.#cutAtByte(proxy, way, "closed");
      case "all links at once":
        return this.#all((each) => each.breakAll(this.#pick(["reset", "closed"] as const)));
      case "black hole, healed":
        return this.#during(proxy, ways, { kind: "held" }, someMs);
      case "black hole, bytes lost":
        return this.#during(proxy, ways, { kind: "swallowed" }, someMs);
      case "one way held":
        return this.#during(proxy, [way], { kind: "held" }, someMs);
      case "one way lost":
        return this.#during(proxy, [way], { kind: "swallowed" }, someMs);
      case "slow peer":
        return this.#during(proxy, ways, { kind: "slow", pieceBytes: 4_096, pauseMs: 5 }, 2 * someMs);
      case "byte by byte":
        return this.#during(proxy, [way], { kind: "slow", pieceBytes: 1, pauseMs: 0 }, someMs / 2);
      case "delays":
        return this.#during(proxy, ways, { kind: "delayed", delayMs: 5 + this.#random() * 60 }, 2 * someMs);
      case "silence beyond three pings":
        return this.#during(proxy, ways, { kind: "held" }, silenceMs);
    }
  }

  async #cutAtByte(proxy: ChaosProxy, way: Way, ending: Ending): Promise<number> {
    const bytes = 1 + Math.floor(this.#random() * this.#pick(cutBytesMax));
    const waiting = new AbortController();
    const late = sleep(cutWithinMs, "late" as const, { signal: waiting.signal }).catch(() => "done" as const);
    await Promise.race([proxy.cutAfter(way, bytes, ending), late]);
    waiting.abort();
    return proxy.forgetCut() === "forgotten" ? 0 : 1;
  }

  /** Bytes that were lost cannot come later: connections that lost some are ended. */
  async #during(proxy: ChaosProxy, on: readonly Way[], behaviour: Behaviour, ms: number): Promise<number> {
    const before = proxy.ended;
    for (const way of on) proxy.behave(way, behaviour);
    await sleep(ms);
    if (behaviour.kind === "swallowed") proxy.breakAll("reset");
    const cuts = proxy.ended - before;
    for (const way of on) proxy.behave(way, { kind: "open" });
    return cuts;
  }

  #all(cut: (proxy: ChaosProxy) => number): number {
    return this.#proxies.reduce((sum, proxy) => sum + cut(proxy), 0);
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[Math.floor(this.#random() * from.length)];
    if (picked === undefined) throw new RangeError("there is nothing to pick from");
    return picked;
  }
}
