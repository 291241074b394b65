import type { FrameNumber } from "../numbers.ts";

/** Bytes on links between agents; both ends must name the same. */
export const linkProtocolVersion = 1;

/** One life of one process. */
export interface LinkParty {
  readonly processId: string;
  readonly incarnation: string;
}

export type LinkRole = "dialler" | "acceptor";

/** What a dialler says first on every connection. */
export interface LinkGreeting extends LinkParty {
  readonly protocolVersion: number;
  readonly linkId: string;
  /** Whom it means to reach. */
  readonly peerProcessId: string;
  readonly peerIncarnation: string;
  /** Its count of its connections for this link. */
  readonly connection: number;
  /** The link has been up before. */
  readonly resume: boolean;
  /** The link is over; this connection says so and nothing else. */
  readonly giveUp: boolean;
  readonly receivedThrough: FrameNumber;
}

/** What these rules look at in a link. */
export interface LinkStanding {
  readonly id: string;
  readonly peer: LinkParty;
  readonly role: LinkRole;
  readonly connected: boolean;
}

export interface AdmittingLink extends LinkStanding {
  /** `LinkReceiver.admit` of its receiving end. */
  admit(connection: number): "newer" | "stale";
}

export interface ClosingLink<L> {
  readonly link: L;
  readonly reason: string;
}

/** `STALE`: a later connection has the link. After every other one the link is over for its dialler. */
export type LinkRefusalCode = "VERSION" | "IDENTITY" | "INCARNATION" | "UNKNOWN_LINK" | "CLOSED" | "STALE";

export type Admission<L> =
  /** The connection is this link's now. */
  | { readonly outcome: "resume"; readonly link: L }
  /** Close these, then make the link that the greeting names, and admit its connection to it. */
  | { readonly outcome: "open"; readonly closing: readonly ClosingLink<L>[] }
  | {
      readonly outcome: "refuse";
      readonly code: LinkRefusalCode;
      readonly message: string;
      readonly closing: readonly ClosingLink<L>[];
    };

/** Who may open a link or go on with one, and which links are over because of it. `links`: all that `self` has. */
export function admitHello<L extends AdmittingLink>(
  self: LinkParty,
  links: Iterable<L>,
  hello: LinkGreeting,
): Admission<L> {
  const { processId, incarnation } = self;
  if (hello.protocolVersion !== linkProtocolVersion) {
    const versions = `${processId} speaks link protocol ${linkProtocolVersion}, ${hello.processId} speaks ${hello.protocolVersion}`;
    return refuse("VERSION", versions);
  }
  if (hello.peerProcessId !== processId) return refuse("IDENTITY", `this is ${processId}, not ${hello.peerProcessId}`);
  if (hello.peerIncarnation !== incarnation) {
    return refuse("INCARNATION", `${processId} was restarted: it is ${incarnation} now`);
  }
  const closing: ClosingLink<L>[] = [];
  for (const link of links) {
    if (link.id === hello.linkId) return admitAgain(link, hello);
    const reason = whyOver(link, hello);
    if (reason !== undefined) closing.push({ link, reason });
  }
  if (hello.giveUp) return refuse("CLOSED", `link ${hello.linkId} is not known any more`);
  if (hello.resume) return refuse("UNKNOWN_LINK", `${processId} has given up link ${hello.linkId}`);
  return { outcome: "open", closing };
}

function admitAgain<L extends AdmittingLink>(link: L, hello: LinkGreeting): Admission<L> {
  if (link.peer.processId !== hello.processId || link.peer.incarnation !== hello.incarnation) {
    return refuse("IDENTITY", `link ${link.id} belongs to another process`);
  }
  if (hello.giveUp) {
    const reason = `process ${link.peer.processId} has given the link up`;
    return { ...refuse("CLOSED", reason), closing: [{ link, reason }] };
  }
  if (link.admit(hello.connection) === "stale") {
    return refuse("STALE", `connection ${hello.connection} of link ${link.id} came after a later one`);
  }
  return { outcome: "resume", link };
}

/** Why a link is over when its peer makes another one; `undefined`: it is not. */
function whyOver(link: LinkStanding, hello: LinkGreeting): string | undefined {
  if (link.peer.processId !== hello.processId) return undefined;
  if (link.peer.incarnation !== hello.incarnation) return `process ${hello.processId} was restarted`;
  // A peer that makes a new link has given the one before up.
  if (link.role === "acceptor" && !link.connected) return `process ${hello.processId} has made a new link`;
  return undefined;
}

function refuse(code: LinkRefusalCode, message: string) {
  return { outcome: "refuse" as const, code, message, closing: [] };
}
