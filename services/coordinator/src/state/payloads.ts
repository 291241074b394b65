import { createFileRegistry, type DescMethod, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { CutlineError, describeError } from "@cutline/runtime";

export type Direction = "request" | "response";

/** `undefined`: the schema does not know the method. */
export type PayloadDecoder = (
  /** /package.Service/Method */
  method: string,
  direction: Direction,
  /** One message without gRPC's length prefix, not compressed. */
  payload: Uint8Array,
) => { readonly json: JsonValue } | { readonly jsonError: string } | undefined;

/** `jsonError` is cut to this many UTF-16 code units. */
const jsonErrorCharsMax = 200;

/**
 * Decodes payloads by the schema in a serialized `google.protobuf.FileDescriptorSet` (what `buf build -o schema.binpb`
 * or `protoc --include_imports --descriptor_set_out` writes). Throws `BadDescriptorSet` when it is not one.
 */
export function createPayloadDecoder(descriptorSet: Uint8Array): PayloadDecoder {
  const registry = readRegistry(descriptorSet);
  const methods = new Map<string, DescMethod>();
  for (const type of registry) {
    if (type.kind === "service") {
      for (const method of type.methods) {
        methods.set(`/${type.typeName}/${method.name}`, method);
      }
    }
  }
  return (path, direction, payload) => {
    const method = methods.get(path);
    if (method === undefined) {
      return undefined;
    }
    const schema = direction === "request" ? method.input : method.output;
    try {
      return { json: toJson(schema, fromBinary(schema, payload), { registry }) };
    } catch (error) {
      const why = describeError(error).slice(0, jsonErrorCharsMax);
      return { jsonError: `the payload does not decode as ${schema.typeName}: ${why}` };
    }
  };
}

function readRegistry(descriptorSet: Uint8Array): ReturnType<typeof createFileRegistry> {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  } catch (error) {
    throw new CutlineError(
      "BadDescriptorSet",
      "the descriptor set cannot be read; give a FileDescriptorSet with its imports, such as `buf build -o schema.binpb` writes",
      { cause: error },
    );
  }
}
