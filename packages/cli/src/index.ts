export { runCli } from "./app.ts";
export { exitCodes } from "./errors.ts";
export type { Io, Terminal } from "./io.ts";
export { verifyGlobalState } from "./verify/document.ts";
export type { Finding } from "./verify/findings.ts";
export type { VerifyReport } from "./verify/report.ts";
