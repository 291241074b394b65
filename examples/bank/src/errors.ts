export type BankErrorCode =
  | "SETTING_INVALID"
  | "PEERS_MISSING"
  | "PORT_UNUSABLE"
  | "NOT_A_BRANCH_STATE"
  | "NOT_A_PAYMENT";

export class BankError extends Error {
  readonly code: BankErrorCode;

  constructor(code: BankErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BankError";
    this.code = code;
  }
}
