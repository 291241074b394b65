/** What other workspaces' tests use of the suite: gRPC applications, raw peers, conditions. */
export { passThrough, requestHeaders, until } from "./adapters.ts";
export { type Outcome, scenarios } from "./grpc-scenarios.ts";
export { type GrpcServer, methods, openGrpcClient, startGrpcServer } from "./grpc-service.ts";
export { rawAnswer, rawClient, rawServer } from "./raw-peers.ts";
