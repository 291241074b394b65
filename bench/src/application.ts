/** What both bench programs have in common: a gRPC server on 127.0.0.1, with or without the SDK, that says when it is up. */
import process from "node:process";
import { createParticipant, type Participant } from "@cutline/participant";
import * as grpc from "@grpc/grpc-js";

export interface Application {
  readonly server: grpc.Server;
  /** Undefined: the program knows nothing of snapshots. */
  readonly participant: Participant | undefined;
  /** Opens BENCH_PORT. */
  serve(message: string): Promise<void>;
}

export function createApplication(state: () => object): Application {
  const { BENCH_SDK, BENCH_PORT } = process.env;
  const participant = BENCH_SDK === "participant" ? createParticipant({ state }) : undefined;
  const server = participant?.server(new grpc.Server()) ?? new grpc.Server();
  return {
    server,
    participant,
    async serve(message) {
      await new Promise<void>((resolve, reject) => {
        const credentials = grpc.ServerCredentials.createInsecure();
        server.bindAsync(`127.0.0.1:${BENCH_PORT}`, credentials, (error) => (error ? reject(error) : resolve()));
      });
      process.once("SIGTERM", () => {
        server.forceShutdown();
        process.exit(0);
      });
      process.stdout.write(`${JSON.stringify({ message })}\n`);
    },
  };
}
