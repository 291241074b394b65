/** The bank's protocol as TypeScript: what `proto/bank.proto` says, loaded at start. */
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export interface GreetRequest {
  from: string;
}

export interface GreetReply {
  branch: string;
  clearsRoutes: boolean;
  takesSettlements: boolean;
}

export interface TransferRequest {
  id: string;
  from: string;
  to: string;
  amountCents: number;
  padding: Uint8Array;
}

/** The answer to a transfer and to a route alike. Not accepted: it brings `amountCents` back to the sender. */
export interface PaymentReply {
  accepted: boolean;
  amountCents: number;
  reason: string;
}

export interface RouteRequest extends TransferRequest {
  /** The clearing branches still to be passed, the next one first. */
  via: string[];
}

export interface Settlement {
  id: string;
  from: string;
  amountCents: number;
  padding: Uint8Array;
}

export interface SettlementAck {
  id: string;
  accepted: boolean;
  amountCents: number;
}

type ReplyCallback<Reply> = (error: grpc.ServiceError | null, reply?: Reply) => void;

export interface BranchClient extends grpc.Client {
  greet(
    request: GreetRequest,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: ReplyCallback<GreetReply>,
  ): grpc.ClientUnaryCall;
  transfer(
    request: TransferRequest,
    options: grpc.CallOptions,
    callback: ReplyCallback<PaymentReply>,
  ): grpc.ClientUnaryCall;
  route(request: RouteRequest, options: grpc.CallOptions, callback: ReplyCallback<PaymentReply>): grpc.ClientUnaryCall;
  settle(options: grpc.CallOptions): grpc.ClientDuplexStream<Settlement, SettlementAck>;
}

interface BranchConstructor {
  new (authority: string, credentials: grpc.ChannelCredentials, options?: grpc.ClientOptions): BranchClient;
  readonly service: grpc.ServiceDefinition;
}

/** The package's root, the same whether this file runs from `src/` or compiled from `dist/src/`. */
const packageFolder = dirname(findPackageJSON(import.meta.url) ?? ".");

const loaded = grpc.loadPackageDefinition(
  loadSync(join(packageFolder, "proto/bank.proto"), { longs: Number, defaults: true }),
) as unknown as { bank: { v1: { Branch: BranchConstructor } } };

export const Branch = loaded.bank.v1.Branch;
