import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const protoFolder = fileURLToPath(new URL("../proto", import.meta.url));
const buf = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));

export interface BoolValue {
  readonly value: boolean;
}

interface Payload {
  readonly body: Uint8Array;
}

interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

/** By the name behind `grpc.`. What proto3 leaves out when it is not set may be left out here. */
export interface Shapes {
  "testing.Empty": object;
  "testing.SimpleRequest": {
    responseSize?: number;
    payload?: Payload;
    responseCompressed?: BoolValue;
    responseStatus?: EchoStatus;
    expectCompressed?: BoolValue;
  };
  "testing.SimpleResponse": { payload?: Payload };
  "testing.StreamingInputCallRequest": { payload?: Payload; expectCompressed?: BoolValue };
  "testing.StreamingInputCallResponse": { aggregatedPayloadSize: number };
  "testing.StreamingOutputCallRequest": {
    responseParameters?: { size?: number; intervalUs?: number; compressed?: BoolValue }[];
    payload?: Payload;
    responseStatus?: EchoStatus;
  };
  "testing.StreamingOutputCallResponse": { payload?: Payload };
  "health.v1.HealthCheckRequest": { service?: string };
  "health.v1.HealthCheckResponse": { status: number };
  "reflection.v1.ServerReflectionRequest": {
    messageRequest?:
      | { case: "fileContainingSymbol"; value: string }
      | { case: "listServices"; value: string }
      | { case: undefined };
  };
  "reflection.v1.ServerReflectionResponse": {
    messageResponse?:
      | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
      | { case: "listServicesResponse"; value: { service: { name: string }[] } }
      | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } }
      | { case: undefined };
  };
}

/** Compiles the protocols of the suite to a FileDescriptorSet. Takes a fraction of a second. */
export function compileProtocols(file: string): void {
  execFileSync(buf, ["build", protoFolder, "-o", file], { stdio: ["ignore", "ignore", "inherit"] });
}

/** Encodes and decodes the suite's messages by their descriptors. */
export class Messages {
  readonly registry: FileRegistry;

  /** `file`: written by {@link compileProtocols}. */
  constructor(file: string) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  }

  encode<Name extends keyof Shapes>(name: Name, value: Shapes[Name]): Uint8Array {
    const schema = this.#schema(name);
    return toBinary(schema, create(schema, value as MessageInitShape<DescMessage>));
  }

  /** Throws when the bytes are not of this message. */
  decode<Name extends keyof Shapes>(name: Name, bytes: Uint8Array): Shapes[Name] {
    const message: Message = fromBinary(this.#schema(name), bytes);
    return message as unknown as Shapes[Name];
  }

  #schema(name: string): DescMessage {
    const schema = this.registry.getMessage(`grpc.${name}`);
    if (schema === undefined) throw new Error(`there is no message grpc.${name}`);
    return schema;
  }
}

/** A payload of so many zeros, as the interop cases have it. */
export function zeros(bytes: number): { readonly body: Uint8Array } {
  return { body: new Uint8Array(bytes) };
}
