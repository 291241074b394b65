export type SystemErrorCode =
  | "DescriptorsNotBuilt"
  | "CertificateNotMade"
  | "NoFreePort"
  | "ProgramEnded"
  | "ProgramMissing"
  | "UnknownBranch"
  | "WaitedInVain";

/** The system under test could not be brought where it was wanted; the message ends with what the programs said last. */
export class SystemError extends Error {
  readonly code: SystemErrorCode;

  constructor(code: SystemErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SystemError";
    this.code = code;
  }
}
