import { Metadata } from "@grpc/grpc-js";

const callIdKey = "cutline-call-id";
const epochKey = "cutline-epoch";

/** The id the agent gave, and takes both of Cutline's keys away, so that the handler never sees them. */
export function takeCallId(metadata: Metadata): number | undefined {
  const [value] = metadata.get(callIdKey);
  metadata.remove(callIdKey);
  metadata.remove(epochKey);
  if (typeof value !== "string" || !/^[0-9]{1,16}$/.test(value)) return undefined;
  const id = Number(value);
  return Number.isSafeInteger(id) ? id : undefined;
}

/** A copy with Cutline's keys, because the application may use its object again. */
export function withCallId(metadata: Metadata | undefined, id: number, epoch: number): Metadata {
  const copy = metadata === undefined ? new Metadata() : metadata.clone();
  const opaque: unknown = metadata === undefined ? undefined : Reflect.get(metadata, "opaqueData");
  // grpc-js leaves these behind when it clones; an interceptor of the application may look for them.
  if (opaque instanceof Map) for (const [key, value] of opaque) copy.setOpaque(key, value);
  copy.set(callIdKey, String(id));
  copy.set(epochKey, String(epoch));
  return copy;
}
