import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Calls, IncomingCall, OutgoingCall } from "./calls.ts";
import { DrainWaits } from "./drain.ts";
import { holdLoopBodies, InboundMessages, noAnswerYet } from "./inbound.ts";
import type { Section, Sections, Wait } from "./section.ts";

/** The call object that grpc-js returns, as far as all four kinds of method share it. */
export interface SurfaceCall extends EventEmitter {
  cancel(): void;
}

export interface MadeBy {
  readonly calls: Calls;
  readonly sections: Sections<IncomingCall>;
}

interface Shape {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** The life of one call the application makes, from its opening until it has ended for the application. */
export class MadeCall {
  readonly call: OutgoingCall;
  readonly #section: Section<IncomingCall>;
  readonly #by: MadeBy;
  /** The section waits for the call, until its answer, or until a `for await` loop waits for each message instead. */
  readonly #wait: Wait = Symbol("an answer");
  #waits: "answer" | "messages" = "answer";
  #cancelled = false;
  #statusSeen = false;
  /** The application knows that nothing follows: its "end", error or status was delivered, or its loop is over. */
  #told = false;
  #closed = false;

  constructor(call: OutgoingCall, section: Section<IncomingCall>, by: MadeBy) {
    this.call = call;
    this.#section = section;
    this.#by = by;
    section.park(this.#wait);
  }

  static position(
    id: number,
    epoch: number,
    method: string,
    shape: Shape,
    incoming: IncomingCall | undefined,
  ): OutgoingCall {
    return {
      id,
      epoch,
      method,
      incoming,
      inbound: noAnswerYet,
      receivesStream: shape.responseStream,
      headersReceived: false,
      headersSent: true,
      messagesSent: shape.requestStream ? 0 : 1,
      endSent: !shape.requestStream,
    };
  }

  /** The client threw: there is no call, and its id has ended. */
  neverOpened(): void {
    this.#section.forget(this.#wait);
    this.#ended();
  }

  /** The call has ended when the callback begins, in the section that waited for it. */
  answer(callback: (...args: unknown[]) => void): (...args: unknown[]) => void {
    return (...args) => {
      this.#section.resume(this.#wait, () => {
        this.#ended();
        callback(...args);
      });
    };
  }

  watch(call: SurfaceCall, shape: Shape): void {
    const stream = call as unknown as Duplex;
    const drains = shape.requestStream ? new DrainWaits(stream, this.#by.sections) : undefined;
    if (shape.requestStream) this.#watchWrites(stream);
    if (shape.responseStream) this.#watchMessages(stream, call, drains);
    else this.#watchEvents(call, drains);
    const cancel = call.cancel.bind(call);
    call.cancel = () => {
      this.#cancelled = true;
      cancel();
    };
  }

  #watchWrites(stream: Duplex): void {
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    const end = stream.end.bind(stream) as (...args: unknown[]) => Duplex;
    const { call } = this;
    stream.write = (...args: unknown[]) => {
      const sends = !stream.writableEnded && !stream.destroyed;
      const room = write(...args);
      if (sends) call.messagesSent += 1;
      return room;
    };
    stream.end = (...args: unknown[]) => {
      const sends = !stream.writableEnded && !stream.destroyed;
      const ended = end(...args);
      if (sends) {
        const [last] = args;
        if (last !== undefined && last !== null && typeof last !== "function") call.messagesSent += 1;
        call.endSent = true;
      }
      return ended;
    };
  }

  /** One answer: its callback is delivered by `answer`, and the status after it. */
  #watchEvents(call: SurfaceCall, drains: DrainWaits<IncomingCall> | undefined): void {
    this.#listen(call, drains, (event, deliver) => {
      if (event === "metadata" && call.listenerCount(event) > 0) this.call.headersReceived = true;
      if (event !== "status" || call.listenerCount(event) === 0) return deliver();
      this.#section.enter(deliver);
      return true;
    });
  }

  #watchMessages(stream: Duplex, call: SurfaceCall, drains: DrainWaits<IncomingCall> | undefined): void {
    const { calls, sections } = this.#by;
    const messages = new InboundMessages(stream, () => calls.messageReceived());
    this.call.inbound = messages;
    if (endWasPushed(stream)) {
      // An interceptor answered before the call was returned: the status went by unseen.
      messages.endWasPushed();
      this.#statusSeen = true;
    }
    holdLoopBodies(stream, {
      sections,
      inbound: messages,
      home: () => this.#section,
      onStart: () => {
        this.#waits = "messages";
        this.#section.forget(this.#wait);
      },
      onOver: () => {
        this.#told = true;
        this.#endWhenTold(messages);
      },
    });
    this.#listen(call, drains, (event, deliver) => {
      switch (event) {
        case "metadata":
          this.call.headersReceived = true;
          return deliver();
        case "status":
        case "end":
        case "error":
        case "close":
          return this.#inTurn(() => {
            if (event === "status") this.#statusSeen = true;
            if (event === "close") this.#closed = true;
            // An "end" that somebody waits for follows the status, and in a paused stream much later.
            if (event !== "status" || (heard(call, "status") && !heard(call, "end"))) this.#told = true;
            this.#endWhenTold(messages);
            deliver();
          });
        default:
          return deliver();
      }
    });
  }

  /** The events that end a stream are its answer: they wait for the section, and keep their order. */
  #inTurn(deliver: () => void): boolean {
    if (this.#waits === "answer") this.#section.resume(this.#wait, deliver);
    else deliver();
    return true;
  }

  #listen(
    call: SurfaceCall,
    drains: DrainWaits<IncomingCall> | undefined,
    on: (event: string | symbol, deliver: () => boolean) => boolean,
  ): void {
    const emit = call.emit.bind(call);
    call.emit = (event: string | symbol, ...args: unknown[]): boolean => {
      const deliver = (): boolean => this.#by.sections.inside(this.#section, () => emit(event, ...args));
      if (event === "drain" && drains?.waiting === true) {
        drains.resume(deliver);
        return true;
      }
      if ((event === "error" || event === "close") && drains?.waiting === true) drains.resume(() => undefined);
      return on(event, deliver);
    };
  }

  /** In the step in which the application is told, never before: an instant of a capture can lie between. */
  #endWhenTold(messages: InboundMessages): void {
    if (messages.looped) return;
    const read = this.#cancelled || (this.#told && messages.exhausted);
    if (this.#closed || (this.#statusSeen && read)) this.#ended();
  }

  #ended(): void {
    this.#by.calls.endOutgoing(this.call);
  }
}

function heard(call: SurfaceCall, event: string): boolean {
  return call.listenerCount(event) > 0;
}

function endWasPushed(stream: Duplex): boolean {
  const state: unknown = Reflect.get(stream, "_readableState");
  return typeof state === "object" && state !== null && "ended" in state && state.ended === true;
}
