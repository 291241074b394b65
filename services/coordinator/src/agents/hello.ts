import type { AgentHello } from "@cutline/proto/control";
import { protocolVersion } from "./port.ts";

const namePattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const incarnationPattern = /^[0-9A-Za-z_-]{1,64}$/;

/** An agent lists at most this many authorities and labels. */
const entriesMax = 256;
const textCharsMax = 1024;

export type HelloVerdict =
  | { readonly outcome: "ok" }
  | { readonly outcome: "wrongVersion" | "invalid"; readonly message: string };

export function checkHello(hello: AgentHello): HelloVerdict {
  if (hello.protocolVersion !== protocolVersion) {
    return {
      outcome: "wrongVersion",
      message: `the agent speaks protocol version ${hello.protocolVersion}, this coordinator ${protocolVersion}; upgrade the older one`,
    };
  }
  if (!namePattern.test(hello.processId)) {
    return { outcome: "invalid", message: "the process id must be namespace/name in lower case" };
  }
  if (!incarnationPattern.test(hello.incarnation)) {
    return { outcome: "invalid", message: "the incarnation must be 1 to 64 letters, digits, _ or -" };
  }
  const labels = Object.entries(hello.labels);
  if (labels.length > entriesMax || hello.authorities.length > entriesMax || hello.openSnapshots.length > entriesMax) {
    return {
      outcome: "invalid",
      message: `a hello lists at most ${entriesMax} labels, authorities and open snapshots`,
    };
  }
  const ports = [hello.applicationPort ?? 1, hello.inboundPort ?? 1];
  if (ports.some((port) => port < 1 || port > 65_535)) {
    return { outcome: "invalid", message: "the ports of the application must be 1 to 65535" };
  }
  const texts = [
    hello.agentVersion,
    hello.linkAddress,
    hello.captureSource,
    ...hello.authorities,
    ...labels.flat(),
    ...hello.openSnapshots.map(({ snapshotId }) => snapshotId),
  ];
  if (texts.some((text) => text.length > textCharsMax)) {
    return { outcome: "invalid", message: `a text of the hello is longer than ${textCharsMax} characters` };
  }
  return { outcome: "ok" };
}
