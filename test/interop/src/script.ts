/** What a client program is told to do and tells of what it saw. The same for every stack, so that only the stack differs. */

export type Kind = "unary" | "clientStream" | "serverStream" | "bidi";

export type Step =
  /** `message`: its name in the script. `plain`: not compressed, though the call is. */
  | { readonly do: "send"; readonly message: string; readonly plain?: true }
  /** Waits for one more message, or for the end. */
  | { readonly do: "receive" }
  | { readonly do: "halfClose" }
  | { readonly do: "cancel" };

/** A value is text; that of a name in `-bin` is base64. */
export type Pair = readonly [name: string, value: string];

export interface CallScript {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly kind: Kind;
  readonly metadata?: readonly Pair[];
  readonly timeoutMs?: number;
  /** Its messages are compressed, but for those that say otherwise. */
  readonly compression?: "gzip";
  /** After the last step it waits for the call's end. */
  readonly steps: readonly Step[];
}

export interface CaseScript {
  readonly name: string;
  /** One after the other. */
  readonly calls: readonly CallScript[];
  /** All calls so many times; `concurrency` at a time; each time on a channel of its own, or always on the same. */
  readonly repeat?: { readonly times: number; readonly concurrency: number; readonly channel: "own" | "shared" };
}

export interface ClientScript {
  /** `host:port`, also the `:authority`. */
  readonly target: string;
  /** How the agent is reached by a stack that does not honour `grpc_proxy`; none: directly. */
  readonly via?: { readonly agentPort: number; readonly how: "connect" | "authority" };
  /** Channel options of gRPC libraries. */
  readonly channelOptions?: Readonly<Record<string, string | number>>;
  /** Encoded messages as base64, by name. */
  readonly messages: Readonly<Record<string, string>>;
  readonly cases: readonly CaseScript[];
}

export interface SeenMessage {
  readonly bytes: number;
  readonly sha256: string;
  /** The compressed flag on the wire, where the stack shows it. */
  readonly flag?: 0 | 1;
}

export interface SeenCall {
  /** In the stack's order; null: none came. */
  readonly headers: readonly Pair[] | null;
  readonly messages: readonly SeenMessage[];
  readonly code: number;
  readonly details: string;
  readonly trailers: readonly Pair[];
}

export interface SeenCase {
  readonly name: string;
  /** Different outcomes of each of the case's calls, the first seen first, with how often they were seen. */
  readonly calls: readonly (readonly { readonly times: number; readonly seen: SeenCall }[])[];
  readonly elapsedMs: number;
}
