/** What a stack can do of what the cases ask for. Names as they stand in the table. */
export interface ClientStack {
  readonly name: "grpc-js" | "grpc-core" | "http2";
  /** Some messages of a call, and others not. */
  readonly compressesByMessage: boolean;
  /** How it is led to the agent. */
  readonly routes: readonly Route[];
}

/** `grpc_proxy`: by that variable. `connect`, `authority`: by hand. */
export type Route = "grpc_proxy" | "connect" | "authority";

export interface ServerStack {
  readonly name: "grpc-js" | "grpc-core" | "http2";
  /** Tells its service whether a request was compressed. */
  readonly showsRequestFlags: boolean;
  readonly compresses: boolean;
  /** Serves gRPC's reflection. */
  readonly reflects: boolean;
}

export const clientStacks: readonly ClientStack[] = [
  { name: "grpc-js", compressesByMessage: true, routes: ["grpc_proxy"] },
  { name: "grpc-core", compressesByMessage: false, routes: ["grpc_proxy"] },
  { name: "http2", compressesByMessage: true, routes: ["connect", "authority"] },
];

export const serverStacks: readonly ServerStack[] = [
  { name: "grpc-js", showsRequestFlags: false, compresses: false, reflects: true },
  { name: "grpc-core", showsRequestFlags: false, compresses: true, reflects: false },
  { name: "http2", showsRequestFlags: true, compresses: true, reflects: true },
];
