import type { MessageFns } from "@cutline/proto/snapshot";

/** The message, or nothing where the bytes are none: decoders refuse with an `Error`, which their callers expect. */
export function decoded<T>(type: Pick<MessageFns<T>, "decode">, bytes: Buffer): T | undefined {
  try {
    return type.decode(bytes);
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
