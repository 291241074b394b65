import type { Unit } from "../checkers/history.ts";
import { CallEnd } from "./call.ts";
import type { Link, PieceFrame } from "./link.ts";
import type { SimProcess } from "./process.ts";

/** What the two sides of a call do. */
export interface CallScript {
  readonly kind: "unary" | "stream";
  /** Messages each way, and between two of them. */
  readonly requests: number;
  readonly answers: number;
  readonly gapMs: number;
  /** How long a reader takes for each thing it reads. */
  readonly requestReadMs: number;
  readonly answerReadMs: number;
  readonly thinkMs: number;
  /** Answers before it has read all, and reads no more. */
  readonly answersEarly: boolean;
  readonly tokensMax: number;
  /** The handler calls on, and is parked until the answer comes. */
  readonly nested: { readonly to: string; readonly script: CallScript } | undefined;
}

/** An application that does nothing but pass tokens on, by calls of all kinds. A token exists once in the whole world. */
export class Application {
  readonly tokens: Set<string>;
  /** Calls that a handler here is at work on or parked in. */
  readonly handlers = new Set<string>();
  readonly #process: SimProcess;
  #open = true;
  readonly #waiting: (() => void)[] = [];
  /** What goes on when a call made here ends. */
  readonly #afterCall = new Map<CallEnd, () => void>();

  constructor(process: SimProcess, tokens: readonly string[]) {
    this.#process = process;
    this.tokens = new Set(tokens);
  }

  close(): void {
    this.#open = false;
  }

  /** A capture is over: what it held back goes on. */
  reopen(): void {
    this.#open = true;
    for (const run of this.#waiting.splice(0)) {
      if (this.#open) run();
      else this.#waiting.push(run);
    }
    for (const link of this.#process.links.values()) for (const call of [...link.calls.values()]) call.pumpToLink();
  }

  /** Begins a call on some link to that process. */
  call(to: string, script: CallScript, after?: () => void): "begun" | "noLink" {
    const { random } = this.#process;
    const link = random.pick([...this.#process.links.values()].filter(({ peer }) => peer.processId === to));
    if (link === undefined) return "noLink";
    const call = this.#createCall(link, link.takeCallId(), "caller", script);
    if (after !== undefined) this.#afterCall.set(call, after);
    this.#send(call, "open", script);
    this.#sendMessages(call, script.requests, () => this.#send(call, "end"));
    return "begun";
  }

  /** A call's opening frame has arrived. */
  accept(link: Link, frame: PieceFrame): void {
    this.#createCall(link, frame.callId, "callee", frame.script as CallScript);
  }

  linkLost(call: CallEnd): void {
    call.over = true;
    this.handlers.delete(nameOf(call));
    this.#goOn(call);
  }

  #createCall(link: Link, id: number, role: "caller" | "callee", script: CallScript): CallEnd {
    const windowBytes = this.#process.world.callWindowBytes;
    const call = new CallEnd(link, id, role, windowBytes, {
      mayNumber: () => this.#open,
      onReady: (ready) => this.#readSoon(ready),
    });
    call.script = script;
    link.calls.set(id, call);
    return call;
  }

  #readSoon(call: CallEnd): void {
    call.reading = true;
    const script = call.script as CallScript;
    const readMs = call.role === "callee" ? script.requestReadMs : script.answerReadMs;
    const read = () => {
      call.reading = false;
      if (call.over || call.discarding) return;
      const frames = call.readyUnit();
      if (frames === undefined) return;
      this.#process.delivered(call.link, frames);
      call.take(frames);
      this.#received(call, (frames[0] as PieceFrame).unit);
      call.pumpToApplication();
    };
    // A reader that takes no time reads at once, in the middle of whatever has made the unit ready.
    if (readMs > 0) this.#later(this.#process.random.below(readMs), read);
    else if (this.#open) read();
    else this.#waiting.push(read);
  }

  #received(call: CallEnd, unit: Unit): void {
    for (const token of unit.tokens) this.tokens.add(token);
    const script = call.script as CallScript;
    switch (unit.kind) {
      case "open":
        this.handlers.add(nameOf(call));
        if (script.answersEarly) this.#later(script.thinkMs, () => this.#answer(call, script));
        return;
      case "end":
        call.receivedEnd = true;
        if (!script.answersEarly) this.#later(script.thinkMs, () => this.#handle(call, script));
        return;
      case "trailers":
        call.receivedEnd = true;
        this.#settle(call);
        this.#goOn(call);
        return;
      default:
    }
  }

  #handle(call: CallEnd, script: CallScript): void {
    if (call.over) return;
    const answer = () => this.#answer(call, script);
    if (script.nested === undefined || this.call(script.nested.to, script.nested.script, answer) === "noLink") answer();
  }

  #answer(call: CallEnd, script: CallScript): void {
    if (call.over) return;
    this.#send(call, "headers");
    this.#sendMessages(call, script.answers, () => {
      this.#send(call, "trailers");
      this.handlers.delete(nameOf(call));
      if (!call.receivedEnd) call.discard();
      this.#settle(call);
    });
  }

  #sendMessages(call: CallEnd, count: number, done: () => void): void {
    if (call.over) return;
    if (count === 0) {
      done();
      return;
    }
    this.#send(call, "message");
    const script = call.script as CallScript;
    if (script.kind === "unary") this.#sendMessages(call, count - 1, done);
    else this.#later(script.gapMs, () => this.#sendMessages(call, count - 1, done));
  }

  #send(call: CallEnd, kind: Unit["kind"], script?: CallScript): void {
    const { random, world, self } = this.#process;
    const message = kind === "message";
    const tokens: string[] = [];
    const max = message ? random.below((call.script as CallScript).tokensMax + 1) : 0;
    for (const token of this.tokens) {
      if (tokens.length >= max) break;
      if (random.happens(0.6)) tokens.push(token);
    }
    for (const token of tokens) this.tokens.delete(token);
    const pieces = message && random.happens(0.25) ? random.between(2, 4) : 1;
    const bytes = Array.from({ length: pieces }, () => (message ? random.between(10, 200) : 30));
    const unit = world.newUnit({ channel: call.link.outgoing.id, call: nameOf(call), kind, tokens, pieces });
    world.note({ type: "sent", inc: self.inc, unit: unit.id });
    if (kind === "end" || kind === "trailers") call.sentEnd = true;
    call.send(unit, bytes, script);
  }

  /** Both sides have said all and heard all: the call is over here. */
  #settle(call: CallEnd): void {
    if (call.sentEnd && call.receivedEnd && call.outbound.length === 0) call.link.calls.delete(call.id);
  }

  #goOn(call: CallEnd): void {
    const after = this.#afterCall.get(call);
    this.#afterCall.delete(call);
    after?.();
  }

  /** The application does nothing while it is captured. */
  #later(delayMs: number, run: () => void): void {
    this.#process.world.engine.after(delayMs, () => {
      if (!this.#process.alive) return;
      if (this.#open) run();
      else this.#waiting.push(run);
    });
  }
}

function nameOf(call: CallEnd): string {
  return `${call.link.id}/${call.id}`;
}
