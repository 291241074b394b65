/** One application of the chaos run: serves numbered calls, makes them to all its peers, and shows its counts. */
import { createServer } from "node:http";
import process from "node:process";
import { createParticipant } from "@cutline/participant";
import * as grpc from "@grpc/grpc-js";
import { Caller, type CallFailure } from "./caller.ts";
import { createNumbersClient, numbersService } from "./contract.ts";
import { type Findings, Ledger } from "./ledger.ts";
import { numbersImplementation } from "./service.ts";

/** What the page shows. */
export interface ApplicationStatus {
  readonly messagesReceived: number;
  readonly callsOk: Readonly<Record<string, number>>;
  readonly callsOpen: number;
  readonly failures: readonly CallFailure[];
  /** Served calls that ended before they were answered, by caller and run. */
  readonly cancelled: Readonly<Record<string, number>>;
  readonly findings: Findings;
}

const { CHAOS_NAME: name = "", CHAOS_RUN, CHAOS_PORT, CHAOS_STATUS_PORT, CHAOS_LANES, CHAOS_PEERS = "" } = process.env;
const ledger = new Ledger({ name, run: Number(CHAOS_RUN) });
const participant = createParticipant({ state: () => ledger.state() });
const caller = new Caller(participant, ledger);
const cancelled: Record<string, number> = {};

const server = participant.server(new grpc.Server());
server.addService(
  numbersService,
  numbersImplementation({
    participant,
    ledger,
    onCancelled({ call }) {
      const [, by, run] = call.split("/");
      const key = `${by}.${run}`;
      cancelled[key] = (cancelled[key] ?? 0) + 1;
    },
  }),
);

/** Not before everybody is there: until then an authority may be unknown. */
function begin(): void {
  for (const peer of CHAOS_PEERS.split(",")) {
    const [callee = "", authority = ""] = peer.split("=");
    caller.start(callee, participant.client(createNumbersClient(authority)), Number(CHAOS_LANES));
  }
}

const page = createServer((request, response) => {
  if (request.url === "/begin") begin();
  if (request.url === "/stop") caller.stop();
  const status: ApplicationStatus = {
    messagesReceived: ledger.messagesReceived,
    callsOk: caller.ok,
    callsOpen: caller.open,
    failures: caller.failures,
    cancelled,
    findings: ledger.findings,
  };
  response.end(JSON.stringify(status));
});

await new Promise<void>((resolve, reject) => {
  const address = `127.0.0.1:${CHAOS_PORT}`;
  server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
});
await new Promise<void>((resolve) => page.listen(Number(CHAOS_STATUS_PORT), "127.0.0.1", resolve));
console.log(JSON.stringify({ message: "application serves", name, run: ledger.self.run }));

process.once("SIGTERM", () => {
  caller.stop();
  server.forceShutdown();
  process.exit(0);
});
