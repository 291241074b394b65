import { type CallOptions, Metadata } from "@grpc/grpc-js";
import { ParticipantError } from "./errors.ts";
import { type MadeBy, MadeCall, type SurfaceCall } from "./made-call.ts";
import { withCallId } from "./metadata.ts";

type Callback = (...args: unknown[]) => void;
type Method = (...args: unknown[]) => SurfaceCall;

interface Shape {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** Arguments before the request: 0 for a generated method; path, serialize and deserialize for a generic one. */
  readonly leading: 0 | 3;
}

const genericShapes = new Map<PropertyKey, Shape>([
  ["makeUnaryRequest", { requestStream: false, responseStream: false, leading: 3 }],
  ["makeClientStreamRequest", { requestStream: true, responseStream: false, leading: 3 }],
  ["makeServerStreamRequest", { requestStream: false, responseStream: true, leading: 3 }],
  ["makeBidiStreamRequest", { requestStream: true, responseStream: true, leading: 3 }],
]);

/** The same client, but for its methods, which open tracked calls. */
export function wrapClient<Client extends object>(client: Client, by: MadeBy): Client {
  if (typeof Reflect.get(client, "makeUnaryRequest") !== "function") {
    throw new ParticipantError(
      "NotAClient",
      "participant.client() takes a client of @grpc/grpc-js; wrap that one, and build promises and the like around what it returns",
    );
  }
  const tracked = new Map<unknown, Method>();
  return new Proxy(client, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      const shape = shapeOf(value, property);
      if (shape === undefined) return value;
      let method = tracked.get(value);
      if (method === undefined) {
        const plain = value as Method;
        method = Object.assign(
          (...args: unknown[]) => open(plain.bind(target), shape, pathOf(plain, args), args, by),
          plain,
        );
        tracked.set(value, method);
      }
      return method;
    },
  });
}

function shapeOf(value: unknown, property: PropertyKey): Shape | undefined {
  if (typeof value !== "function") return undefined;
  const generic = genericShapes.get(property);
  if (generic !== undefined) return generic;
  const requestStream: unknown = Reflect.get(value, "requestStream");
  const responseStream: unknown = Reflect.get(value, "responseStream");
  if (typeof requestStream !== "boolean" || typeof responseStream !== "boolean") return undefined;
  return { requestStream, responseStream, leading: 0 };
}

function pathOf(method: Method, args: readonly unknown[]): string {
  const path: unknown = Reflect.get(method, "path");
  return typeof path === "string" ? path : String(args[0]);
}

function open(method: Method, shape: Shape, path: string, args: readonly unknown[], by: MadeBy): SurfaceCall {
  const own = args.slice(0, shape.leading + (shape.requestStream ? 0 : 1));
  const rest = optionalArguments(args.slice(own.length), shape.responseStream);
  // grpc-js throws for these, and says why.
  if (rest === undefined) return method(...args);
  const { calls, sections } = by;
  const current = sections.current();
  const section = current ?? sections.create({ label: `answer of ${path}`, incoming: undefined, held: "turn" });
  const made = new MadeCall(
    calls.openOutgoing((id, epoch) => MadeCall.position(id, epoch, path, shape, current?.incoming)),
    section,
    by,
  );
  const { call: position } = made;
  const metadata = withCallId(rest.metadata, position.id, position.epoch);
  const { callback } = rest;
  const tail: unknown[] = [metadata, { ...rest.options }];
  if (callback !== undefined) tail.push(made.answer(callback));
  let call: SurfaceCall;
  try {
    call = method(...own, ...tail);
  } catch (error) {
    made.neverOpened();
    throw error;
  }
  made.watch(call, shape);
  return call;
}

interface Optional {
  readonly metadata: Metadata | undefined;
  readonly options: CallOptions | undefined;
  readonly callback: Callback | undefined;
}

/** `(metadata?, options?, callback?)` as grpc-js reads them; `undefined`: it would refuse them. */
function optionalArguments([first, second, third]: readonly unknown[], responseStream: boolean): Optional | undefined {
  if (responseStream) {
    return isMetadata(first)
      ? { metadata: first, options: second as CallOptions | undefined, callback: undefined }
      : { metadata: undefined, options: first as CallOptions | undefined, callback: undefined };
  }
  if (isCallback(first)) return { metadata: undefined, options: undefined, callback: first };
  if (isCallback(second)) {
    if (isMetadata(first)) return { metadata: first, options: undefined, callback: second };
    return isOptions(first) ? { metadata: undefined, options: first, callback: second } : undefined;
  }
  return isMetadata(first) && isOptions(second) && isCallback(third)
    ? { metadata: first, options: second, callback: third }
    : undefined;
}

function isMetadata(value: unknown): value is Metadata {
  return value instanceof Metadata;
}

function isCallback(value: unknown): value is Callback {
  return typeof value === "function";
}

function isOptions(value: unknown): value is CallOptions {
  return typeof value === "object" && value !== null;
}
