import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type BoolValue, type Messages, type Shapes, zeros } from "./messages.ts";
import type { Kind, Pair } from "./script.ts";

/** A call as the service sees it, whatever stack serves it. */
export interface Exchange {
  /** Of the client's metadata; that of a name in `-bin` is base64. */
  metadata(name: string): readonly string[];
  /** `undefined`: the client has half-closed, or the call has ended. */
  next(): Promise<{ readonly bytes: Uint8Array; readonly compressed: boolean | undefined } | undefined>;
  /** Before the first message and the end. */
  headers(pairs: readonly Pair[]): void;
  /** Compressed where the stack can. Resolves when the next one may be sent. */
  send(bytes: Uint8Array, compression: "gzip" | "none"): Promise<void>;
}

export interface Ending {
  readonly code: number;
  readonly details: string;
  readonly trailers: readonly Pair[];
}

export interface Method {
  readonly kind: Kind;
  serve(exchange: Exchange): Promise<Ending>;
}

const ok: Ending = { code: 0, details: "", trailers: [] };
const invalidArgument: Ending = { code: 3, details: "the compressed flag is not what was announced", trailers: [] };
const notFound: Ending = { code: 5, details: "unknown service", trailers: [] };
const serving = 1;

/** The services by path. `kind` as the client sees them. */
export function createService(messages: Messages): ReadonlyMap<string, Method> {
  const services = [...messages.registry].filter((type) => type.kind === "service");
  const methods: Record<string, Method> = {
    "testing.TestService/EmptyCall": {
      kind: "unary",
      async serve(exchange) {
        await exchange.next();
        await exchange.send(messages.encode("testing.Empty", {}), "none");
        return ok;
      },
    },
    "testing.TestService/UnaryCall": { kind: "unary", serve: unaryCall },
    "testing.TestService/StreamingInputCall": { kind: "clientStream", serve: streamingInputCall },
    "testing.TestService/StreamingOutputCall": { kind: "serverStream", serve: outputCall },
    "testing.TestService/FullDuplexCall": { kind: "bidi", serve: outputCall },
    "health.v1.Health/Check": {
      kind: "unary",
      async serve(exchange) {
        const { service = "" } = messages.decode(
          "health.v1.HealthCheckRequest",
          (await exchange.next())?.bytes ?? none,
        );
        if (service !== "" && !services.some(({ typeName }) => typeName === service)) return notFound;
        await exchange.send(messages.encode("health.v1.HealthCheckResponse", { status: serving }), "none");
        return ok;
      },
    },
    "reflection.v1.ServerReflection/ServerReflectionInfo": { kind: "bidi", serve: reflection },
  };
  return new Map(Object.entries(methods).map(([path, method]) => [`/grpc.${path}`, method]));

  async function unaryCall(exchange: Exchange): Promise<Ending> {
    const message = await exchange.next();
    const request = messages.decode("testing.SimpleRequest", message?.bytes ?? none);
    if (flagIsWrong(request.expectCompressed, message?.compressed)) return invalidArgument;
    const trailers = echo(exchange);
    const { responseStatus, responseSize = 0, responseCompressed } = request;
    if (responseStatus !== undefined) return statusOf(responseStatus, trailers);
    const answer = messages.encode("testing.SimpleResponse", { payload: zeros(responseSize) });
    await exchange.send(answer, compressionOf(responseCompressed));
    return { ...ok, trailers };
  }

  async function streamingInputCall(exchange: Exchange): Promise<Ending> {
    let sum = 0;
    for (let message = await exchange.next(); message !== undefined; message = await exchange.next()) {
      const { payload, expectCompressed } = messages.decode("testing.StreamingInputCallRequest", message.bytes);
      if (flagIsWrong(expectCompressed, message.compressed)) return invalidArgument;
      sum += payload?.body.length ?? 0;
    }
    const answer = messages.encode("testing.StreamingInputCallResponse", { aggregatedPayloadSize: sum });
    await exchange.send(answer, "none");
    return ok;
  }

  async function outputCall(exchange: Exchange): Promise<Ending> {
    const trailers = echo(exchange);
    for (let message = await exchange.next(); message !== undefined; message = await exchange.next()) {
      const request = messages.decode("testing.StreamingOutputCallRequest", message.bytes);
      if (request.responseStatus !== undefined) return statusOf(request.responseStatus, trailers);
      for (const { size = 0, compressed } of request.responseParameters ?? []) {
        const answer = messages.encode("testing.StreamingOutputCallResponse", { payload: zeros(size) });
        await exchange.send(answer, compressionOf(compressed));
      }
    }
    return { ...ok, trailers };
  }

  async function reflection(exchange: Exchange): Promise<Ending> {
    for (let message = await exchange.next(); message !== undefined; message = await exchange.next()) {
      const { messageRequest } = messages.decode("reflection.v1.ServerReflectionRequest", message.bytes);
      const messageResponse = reflect(messageRequest);
      await exchange.send(messages.encode("reflection.v1.ServerReflectionResponse", { messageResponse }), "none");
    }
    return ok;
  }

  function reflect(
    request: Shapes["reflection.v1.ServerReflectionRequest"]["messageRequest"],
  ): NonNullable<Shapes["reflection.v1.ServerReflectionResponse"]["messageResponse"]> {
    if (request?.case === "listServices") {
      const service = services.map(({ typeName }) => ({ name: typeName }));
      return { case: "listServicesResponse", value: { service } };
    }
    const found = request?.case === "fileContainingSymbol" ? messages.registry.get(request.value) : undefined;
    if (found === undefined || found.kind === "extension") {
      return { case: "errorResponse", value: { errorCode: notFound.code, errorMessage: "unknown symbol" } };
    }
    const fileDescriptorProto = [toBinary(FileDescriptorProtoSchema, found.file.proto)];
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }
}

const none = new Uint8Array(0);
const echoInitial = "x-grpc-test-echo-initial";
const echoTrailing = "x-grpc-test-echo-trailing-bin";

/** Sends the headers that the client has asked for, and returns its trailers. */
function echo(exchange: Exchange): readonly Pair[] {
  const headers = exchange.metadata(echoInitial).map((value): Pair => [echoInitial, value]);
  if (headers.length > 0) exchange.headers(headers);
  return exchange.metadata(echoTrailing).map((value): Pair => [echoTrailing, value]);
}

function statusOf({ code, message }: { code: number; message: string }, trailers: readonly Pair[]): Ending {
  return { code, details: message, trailers };
}

function compressionOf(compressed: BoolValue | undefined): "gzip" | "none" {
  return compressed?.value === true ? "gzip" : "none";
}

function flagIsWrong(announced: BoolValue | undefined, seen: boolean | undefined): boolean {
  return announced !== undefined && seen !== undefined && announced.value !== seen;
}
