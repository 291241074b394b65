export {
  type IssuedCertificate,
  type IssueOptions,
  type Issuer,
  issueCertificate,
  signCertificate,
} from "./issue.ts";
export { type CertificateRequest, createRequest, type RequestOutcome, readRequest } from "./request.ts";
