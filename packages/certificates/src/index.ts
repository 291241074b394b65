export { type IssuedCertificate, type IssueOptions, type Issuer, issueCertificate } from "./issue.ts";
