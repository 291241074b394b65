/**
 * Counts the money in a global state. At every consistent cut, balances, unresolved amounts and amounts in flight add up
 * to what the branches opened with; a picture of which that is not true shows a state the bank was never in.
 */
import { Branch, type PaymentReply, type TransferRequest } from "./contract.ts";
import { BankError } from "./errors.ts";
import type { BranchState } from "./ledger.ts";

type Direction = "request" | "response";

/** The parts of `GET /v1/snapshots/{id}/state` that the audit reads. */
export interface GlobalState {
  processes: readonly { id: string; encoding: "utf8" | "base64"; data: string }[];
  channels: readonly {
    id: string;
    messages: readonly { method: string; direction: Direction; complete: boolean; payloadBase64: string }[];
  }[];
}

export interface Audit {
  balancesCents: number;
  inFlightCents: number;
  unresolvedCents: number;
  /** The three above together. */
  totalCents: number;
  perProcess: Record<string, { balanceCents: number; unresolvedCents: number }>;
  perChannel: Record<string, number>;
  /** What could not be counted; never empty without `violated`. */
  problems: string[];
  verdict: "conserved" | "violated";
}

const methods = new Map(Object.values(Branch.service).map((method) => [method.path, method]));

/**
 * The money that one message carries: a request the amount that was debited, an answer the amount that was refused.
 * `message` is the bytes without gRPC's five-byte prefix. Methods of other services carry none.
 * Throws `NOT_A_PAYMENT` when the bytes are not what the method says.
 */
export function moneyInFlightCents(methodPath: string, direction: Direction, message: Uint8Array): number {
  const method = methods.get(methodPath);
  if (method === undefined || methodPath.endsWith("/Greet")) return 0;
  try {
    const bytes = Buffer.from(message);
    if (direction === "request") return (method.requestDeserialize(bytes) as TransferRequest).amountCents;
    const { accepted, amountCents } = method.responseDeserialize(bytes) as PaymentReply;
    return accepted ? 0 : amountCents;
  } catch (cause) {
    throw new BankError("NOT_A_PAYMENT", `${message.length} bytes are not a ${direction} of ${methodPath}`, { cause });
  }
}

/** Adds up a global state and compares it with what the branches opened with. */
export function auditGlobalState(state: GlobalState, expectedTotalCents: number): Audit {
  const problems: string[] = [];
  const perProcess = new Map<string, { balanceCents: number; unresolvedCents: number }>();
  for (const { id, encoding, data } of state.processes) {
    try {
      perProcess.set(id, readBalance(id, Buffer.from(data, encoding).toString()));
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  const perChannel = new Map<string, number>();
  for (const { id, messages } of state.channels) {
    let cents = 0;
    for (const [index, { method, direction, complete, payloadBase64 }] of messages.entries()) {
      try {
        if (!complete) throw new BankError("NOT_A_PAYMENT", `only a part of a ${direction} of ${method} is there`);
        cents += moneyInFlightCents(method, direction, Buffer.from(payloadBase64, "base64"));
      } catch (error) {
        problems.push(`channel ${id}, message ${index}: ${(error as Error).message}`);
      }
    }
    perChannel.set(id, cents);
  }
  const balancesCents = sum([...perProcess.values()].map((process) => process.balanceCents));
  const unresolvedCents = sum([...perProcess.values()].map((process) => process.unresolvedCents));
  const inFlightCents = sum([...perChannel.values()]);
  const totalCents = balancesCents + inFlightCents + unresolvedCents;
  return {
    balancesCents,
    inFlightCents,
    unresolvedCents,
    totalCents,
    perProcess: Object.fromEntries(perProcess),
    perChannel: Object.fromEntries(perChannel),
    problems,
    verdict: totalCents === expectedTotalCents && problems.length === 0 ? "conserved" : "violated",
  };
}

function readBalance(process: string, json: string): { balanceCents: number; unresolvedCents: number } {
  const { balanceCents, unresolvedCents } = parse(process, json);
  if (!Number.isSafeInteger(balanceCents) || !Number.isSafeInteger(unresolvedCents)) throw notABranch(process);
  return { balanceCents, unresolvedCents };
}

function parse(process: string, json: string): BranchState {
  try {
    const state = JSON.parse(json) as BranchState | null;
    if (state !== null) return state;
  } catch (cause) {
    throw notABranch(process, { cause });
  }
  throw notABranch(process);
}

function notABranch(process: string, options?: ErrorOptions): BankError {
  return new BankError("NOT_A_BRANCH_STATE", `the state of process ${process} is not the state of a branch`, options);
}

function sum(cents: readonly number[]): number {
  return cents.reduce((total, one) => total + one, 0);
}
