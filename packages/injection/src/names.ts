/** What the parts of an injected pod are called. */

export const injectLabel = "cutline.dev/inject";
export const annotationPrefix = "cutline.dev/";
export const statusAnnotation = "cutline.dev/injected";

export const agentContainer = "cutline-agent";
export const redirectContainer = "cutline-redirect";

export const volumes = { identity: "cutline-identity", token: "cutline-token", tmp: "cutline-tmp" } as const;

export const paths = {
  identity: "/var/run/cutline/identity",
  token: "/var/run/cutline/token",
  tmp: "/tmp",
} as const;

export const ports = {
  admin: 15_000,
  outbound: 15_001,
  inbound: 15_006,
  link: 15_008,
  health: 15_020,
  /** Redirect mode: leads straight to the application, for the kubelet's probes. */
  probe: 15_021,
  coordinator: 7_401,
  identity: 7_402,
} as const;

/** The image's own user. */
export const imageUser = 65_532;
/**
 * Redirect mode: traffic of this user is left alone, so it must be nobody else's. The image's own user is that of many
 * images, so it will not do.
 */
export const redirectUser = 15_001;

/** Of the tokens that prove a pod to the coordinator. */
export const tokenAudience = "cutline";
