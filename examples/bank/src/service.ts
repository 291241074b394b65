/** The receiving side of a branch: credits what it receives, or refuses and sends the amount back with the answer. */
import * as grpc from "@grpc/grpc-js";
import type {
  GreetReply,
  GreetRequest,
  PaymentReply,
  RouteRequest,
  Settlement,
  SettlementAck,
  TransferRequest,
} from "./contract.ts";
import { isAmount, type Ledger } from "./ledger.ts";
import { answerDeadline, type Peer } from "./peer.ts";
import type { Random } from "./random.ts";

const VIA_MAX = 8;

export interface ServiceParts {
  ledger: Ledger;
  random: Random;
  peers: ReadonlyMap<string, Peer>;
  /** Which calls this branch takes beside transfers. */
  takes: "transfers" | "everything";
  slowReaderMs: number;
  /** One payment in this many is refused, so that money travels in answers, too. */
  refusedOneIn: number;
}

export function branchService(parts: ServiceParts): grpc.UntypedServiceImplementation {
  const greet: grpc.handleUnaryCall<GreetRequest, GreetReply> = (_call, callback) => {
    const everything = parts.takes === "everything";
    callback(null, { branch: parts.ledger.branch, clearsRoutes: everything, takesSettlements: everything });
  };
  const transfer: grpc.handleUnaryCall<TransferRequest, PaymentReply> = ({ request }, callback) => {
    if (request.from === parts.ledger.branch) parts.ledger.counters.cyclesClosed += 1;
    callback(null, take(parts, request.amountCents, "transfersReceived"));
  };
  if (parts.takes === "transfers") return { greet, transfer };
  return {
    greet,
    transfer,
    route: (
      { request }: grpc.ServerUnaryCall<RouteRequest, PaymentReply>,
      callback: grpc.sendUnaryData<PaymentReply>,
    ) => passOn(parts, request, callback),
    settle: (call: grpc.ServerDuplexStream<Settlement, SettlementAck>) => takeSettlements(parts, call),
  };
}

function take(
  { ledger, random, refusedOneIn }: ServiceParts,
  amountCents: number,
  kind: "transfersReceived" | "settlementsReceived",
): PaymentReply {
  if (!isAmount(amountCents)) return refuse(ledger, amountCents, "the amount is not a positive number of cents");
  if (random.below(refusedOneIn) === 0) return refuse(ledger, amountCents, "the receiver declines");
  ledger.credit(amountCents, kind);
  return { accepted: true, amountCents, reason: "" };
}

function refuse(ledger: Ledger, amountCents: number, reason: string): PaymentReply {
  ledger.counters.refused += 1;
  return { accepted: false, amountCents, reason };
}

/**
 * A clearing branch never keeps money. The amount leaves in the same synchronous run in which it came, and the answer
 * is passed back in the run in which it arrives: whenever this branch is looked at, the amount is somewhere else.
 */
function passOn(parts: ServiceParts, request: RouteRequest, callback: grpc.sendUnaryData<PaymentReply>): void {
  const { ledger, peers } = parts;
  const [next = request.to, ...via] = request.via;
  const peer = peers.get(next);
  if (request.from === ledger.branch) ledger.counters.cyclesClosed += 1;
  if (peer?.takes === undefined || via.length > VIA_MAX) {
    const reason =
      peer?.takes === undefined ? `${ledger.branch} cannot reach a branch "${next}"` : "the route is too long";
    callback(null, refuse(ledger, request.amountCents, reason));
    return;
  }
  const answer = (error: grpc.ServiceError | null, reply?: PaymentReply): void => {
    if (error !== null) {
      // The sender books the amount as unresolved; this branch never had it.
      ledger.fail(grpc.status[error.code], 0);
      peer.lose();
      callback({ code: error.code, details: `${ledger.branch} -> ${peer.name}: ${error.details}` });
      return;
    }
    callback(null, reply);
  };
  ledger.counters.routesForwarded += 1;
  if (request.via.length === 0) {
    peer.client.transfer(request, answerDeadline(), answer);
    return;
  }
  ledger.counters.chainsForwarded += 1;
  peer.client.route({ ...request, via }, answerDeadline(), answer);
}

function takeSettlements(parts: ServiceParts, call: grpc.ServerDuplexStream<Settlement, SettlementAck>): void {
  const readOn = (): void => {
    setTimeout(() => call.resume(), parts.slowReaderMs);
  };
  call.on("data", ({ id, amountCents }: Settlement) => {
    const { accepted } = take(parts, amountCents, "settlementsReceived");
    const roomLeft = call.write({ id, accepted, amountCents });
    if (roomLeft && parts.slowReaderMs === 0) return;
    call.pause();
    if (roomLeft) readOn();
    else call.once("drain", readOn);
  });
  call.on("end", () => call.end());
  call.on("error", () => parts.ledger.fail("SETTLEMENTS_BROKEN_OFF", 0));
}
