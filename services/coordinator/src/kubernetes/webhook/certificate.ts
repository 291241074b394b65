/** The certificate that the webhook's server shows, as it is now. */
export interface ServingCertificate {
  /** PEM. */
  current(): { readonly cert: string; readonly key: string };
  /** Called after each change; what it gives ends that. */
  onChange(listener: () => void): () => void;
}
