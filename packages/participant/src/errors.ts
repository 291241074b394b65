import { status as Status } from "@grpc/grpc-js";

/** Stable: programs may compare these. */
export type ParticipantErrorCode =
  | "CaptureDeadlineExceeded"
  | "CaptureQueueFull"
  | "NotAClient"
  | "OptionOutOfRange"
  | "ProtocolVersionMismatch"
  | "ReceiptStreamsFull"
  | "ServicesAlreadyAdded"
  | "SettleTooLarge"
  | "ShuttingDown"
  | "StateFailed"
  | "StateNotSerialisable"
  | "StateNotSynchronous"
  | "StateTooLarge";

const statusOf: Record<ParticipantErrorCode, Status> = {
  CaptureDeadlineExceeded: Status.DEADLINE_EXCEEDED,
  CaptureQueueFull: Status.RESOURCE_EXHAUSTED,
  NotAClient: Status.INTERNAL,
  OptionOutOfRange: Status.INTERNAL,
  ProtocolVersionMismatch: Status.FAILED_PRECONDITION,
  ReceiptStreamsFull: Status.RESOURCE_EXHAUSTED,
  ServicesAlreadyAdded: Status.INTERNAL,
  SettleTooLarge: Status.INVALID_ARGUMENT,
  ShuttingDown: Status.UNAVAILABLE,
  StateFailed: Status.INTERNAL,
  StateNotSerialisable: Status.INTERNAL,
  StateNotSynchronous: Status.INTERNAL,
  StateTooLarge: Status.RESOURCE_EXHAUSTED,
};

/** Every error the SDK itself raises. */
export class ParticipantError extends Error {
  readonly code: ParticipantErrorCode;

  constructor(code: ParticipantErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "ParticipantError";
    this.code = code;
  }
}

/** How the agent is told: the gRPC status, and `Code: message` as its details. */
export function statusFor(error: unknown): { code: Status; details: string } {
  return error instanceof ParticipantError
    ? { code: statusOf[error.code], details: `${error.code}: ${error.message}` }
    : { code: Status.INTERNAL, details: `StateFailed: ${messageOf(error)}` };
}

export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return typeof error === "string" ? error : `a thrown ${typeof error}`;
}
