import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Metadata, Server } from "@grpc/grpc-js";
import type { Calls, IncomingCall } from "./calls.ts";
import { DrainWaits } from "./drain.ts";
import { ParticipantError } from "./errors.ts";
import { holdLoopBodies, InboundMessages, wholeRequest } from "./inbound.ts";
import { takeCallId } from "./metadata.ts";
import type { Section, Sections } from "./section.ts";
import { ServedCall } from "./served-call.ts";

type Respond = (error: unknown, value?: unknown, trailer?: Metadata, flags?: number) => void;

/** The call object that grpc-js hands to a handler, as far as all four kinds of method share it. */
interface SurfaceCall extends EventEmitter {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}

type Handler = (call: SurfaceCall, respond: Respond) => unknown;

interface Shape {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

const shapes = new Map<string, Shape>([
  ["unary", { requestStream: false, responseStream: false }],
  ["clientStream", { requestStream: true, responseStream: false }],
  ["serverStream", { requestStream: false, responseStream: true }],
  ["bidi", { requestStream: true, responseStream: true }],
]);

export interface ServedBy {
  readonly calls: Calls;
  readonly sections: Sections<IncomingCall>;
}

/** Wraps every handler that is added to `server` from here on, but for those that `addPlain` adds. */
export function wrapServer(server: Server, by: ServedBy, addPlain: () => void): void {
  const handlers: unknown = Reflect.get(server, "handlers");
  if (handlers instanceof Map && handlers.size > 0) {
    throw new ParticipantError(
      "ServicesAlreadyAdded",
      `the server already serves ${handlers.size} methods, which would run outside every section; call participant.server() before addService()`,
    );
  }
  addPlain();
  const register = server.register.bind(server);
  // addService goes through register too, after it has found and bound the handler.
  server.register = (path, handler, serialize, deserialize, type) => {
    const shape = shapes.get(type);
    if (shape === undefined) return register(path, handler, serialize, deserialize, type);
    const plain = handler as unknown as Handler;
    const sectioned = (call: SurfaceCall, respond: Respond): void => serve(path, shape, plain, by, call, respond);
    return register(path, sectioned as unknown as typeof handler, serialize, deserialize, type);
  };
}

function serve(path: string, shape: Shape, handler: Handler, by: ServedBy, call: SurfaceCall, respond: Respond): void {
  const { calls, sections } = by;
  const stream = call as unknown as Duplex;
  const messages = shape.requestStream ? new InboundMessages(stream, () => calls.messageReceived()) : undefined;
  const incoming: IncomingCall = {
    id: takeCallId(call.metadata),
    method: path,
    inbound: messages ?? wholeRequest,
    receivesStream: shape.requestStream,
    headersReceived: true,
    headersSent: false,
    messagesSent: 0,
    endSent: false,
  };
  const held = shape.requestStream || shape.responseStream ? "turn" : "throughout";
  const section = sections.create({ label: path, incoming, held });
  const served = new ServedCall(calls, incoming, section);

  if (messages !== undefined) {
    holdLoopBodies(stream, {
      sections,
      inbound: messages,
      home: () => section,
      onDone: () => {
        // What is left of a client-streaming handler after its loop is like a unary one: it is going to answer.
        if (!shape.responseStream) section.holdThroughout();
      },
      onOver: () => served.loopOver(),
    });
  }
  watchHeaders(call, incoming);
  if (shape.responseStream) watchWrites(stream, incoming, served);
  const drains = shape.responseStream ? new DrainWaits(stream, sections) : undefined;
  watchEvents(call, { by, section, served, messages, drains });

  if (shape.responseStream) {
    served.begin(
      () => handler(call, respond),
      (refusal) => call.emit("error", refusal),
    );
    return;
  }
  const answer: Respond = (error, ...rest) => {
    if (!error) incoming.messagesSent = 1;
    incoming.endSent = true;
    served.answered();
    respond(error, ...rest);
  };
  served.begin(
    () => handler(call, answer),
    (refusal) => respond(refusal),
  );
}

function watchHeaders(call: SurfaceCall, incoming: IncomingCall): void {
  const sendMetadata = call.sendMetadata.bind(call);
  call.sendMetadata = (metadata) => {
    incoming.headersSent = true;
    sendMetadata(metadata);
  };
}

function watchWrites(stream: Duplex, incoming: IncomingCall, served: ServedCall): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  const end = stream.end.bind(stream) as (...args: unknown[]) => Duplex;
  stream.write = (...args: unknown[]) => {
    const sends = !stream.writableEnded && !stream.destroyed;
    const room = write(...args);
    if (sends) {
      incoming.messagesSent += 1;
      incoming.headersSent = true;
    }
    return room;
  };
  stream.end = (...args: unknown[]) => {
    incoming.endSent = true;
    served.answered();
    return end(...args);
  };
}

interface Watched {
  readonly by: ServedBy;
  readonly section: Section<IncomingCall>;
  readonly served: ServedCall;
  readonly messages: InboundMessages | undefined;
  readonly drains: DrainWaits<IncomingCall> | undefined;
}

/** Runs every listener as part of the call's section, without the lock: what it does in its turn is whole anyway. */
function watchEvents(call: SurfaceCall, { by, section, served, messages, drains }: Watched): void {
  const emit = call.emit.bind(call);
  call.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    const deliver = (): boolean => by.sections.inside(section, () => emit(event, ...args));
    if (event === "end") messages?.endEmitted();
    else if (event === "cancelled") served.cancelled();
    else if (event === "drain" && drains?.waiting === true) {
      drains.resume(deliver);
      return true;
    } else if ((event === "error" || event === "close") && drains?.waiting === true) drains.resume(() => undefined);
    return deliver();
  };
}
