/** What both bench programs have in common: a gRPC server on 127.0.0.1, with or without the SDK, that says when it is up. */
import process from "node:process";
import { createParticipant, type Participant } from "@cutline/participant";
import * as grpc from "@grpc/grpc-js";
import type { StateForm } from "./contract.ts";

export interface Application {
  readonly server: grpc.Server;
  /** Undefined: the program knows nothing of snapshots. */
  readonly participant: Participant | undefined;
  /** Opens BENCH_PORT. */
  serve(message: string): Promise<void>;
}

export function createApplication(state: () => object): Application {
  const { BENCH_SDK, BENCH_PORT, BENCH_STATE_BYTES = "0", BENCH_STATE_FORM = "object" } = process.env;
  const accounts = accountsOf(Number(BENCH_STATE_BYTES));
  const whole = () => ({ ...state(), accounts });
  const octets = Buffer.alloc(Number(BENCH_STATE_BYTES), "x");
  const bytes = () => {
    octets.write(JSON.stringify(state()));
    return octets;
  };
  // Accounts are replaced and never changed, so that a list of those of now is a frozen view.
  const view = () => linesOf(state(), [...accounts]);
  const forms: Record<StateForm, () => object> = { object: whole, bytes, view };
  const participant =
    BENCH_SDK === "participant" ? createParticipant({ state: forms[BENCH_STATE_FORM as StateForm] }) : undefined;
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

const accountBytes = 128;
const accountsPerLine = 1_024;

/** Written while calls go on: each line is made when the one before has gone out. */
function* linesOf(head: object, accounts: readonly object[]): Generator<string> {
  yield `${JSON.stringify(head)}\n`;
  for (let at = 0; at < accounts.length; at += accountsPerLine) {
    yield `${JSON.stringify(accounts.slice(at, at + accountsPerLine))}\n`;
  }
}

/** State such as applications have it: small records that make about so many bytes of JSON together. */
function accountsOf(stateBytes: number): object[] {
  return Array.from({ length: Math.round(stateBytes / accountBytes) }, (_, index) => ({
    id: `account-${String(index).padStart(8, "0")}`,
    cents: 1_000_000 + index,
    holder: "x".repeat(45),
    isOpen: true,
    version: 1_000 + (index % 1_000),
  }));
}
