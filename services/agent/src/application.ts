import { randomInt } from "node:crypto";
import type { Http2Client, Http2Server } from "@cutline/h2";
import type { Logger } from "@cutline/runtime";
import { BoundaryCut } from "./capture/boundary-cut.ts";
import type { Cutter } from "./capture/cutter.ts";
import { ExactCut } from "./capture/exact-cut.ts";
import type { CaptureLimits } from "./capture/limits.ts";
import { defaultParticipantLimits, ParticipantSession } from "./capture/participant-session.ts";
import { ReceiptBook } from "./capture/receipts.ts";
import { Settlements } from "./capture/settlements.ts";
import type { StateSource } from "./capture/state-source.ts";
import type { CallEnd } from "./dataplane/call/call-end.ts";
import type { ApplicationSide, DataPlane } from "./dataplane/data-plane.ts";

/** The application as its agent deals with it: how calls are handed over, and how it is captured. */
export interface Application {
  readonly side: ApplicationSide;
  /** The first id of incoming calls. */
  readonly firstIncomingId: number;
  /** Why no capture would be tried now. */
  readonly unreadyReason: string | undefined;
  /** To be called once, with the data plane that was made with `side`. */
  attach(plane: DataPlane): Cutter;
  /** After every cut: what came in meanwhile is dealt with. */
  onTrafficFlows(): void;
  start(): void;
  stop(): void;
}

export interface ApplicationOptions {
  readonly processId: string;
  readonly incarnation: string;
  /** host:port. */
  readonly address: string;
  readonly client: Http2Client;
  readonly server: Http2Server;
  readonly limits: CaptureLimits;
  now(): number;
  readonly logger: Logger;
}

/** An application that is captured where its traffic meets it. */
export function createOpaqueApplication(options: ApplicationOptions, source: StateSource): Application {
  let cut: BoundaryCut | undefined;
  return {
    side: {
      ready: true,
      error: undefined,
      confirmsReceipt: false,
      settle() {},
      cancelled: () => cut?.noteCancelled(),
      streamAnswered: () => cut?.noteStreamAnswered(),
    },
    firstIncomingId: 1,
    unreadyReason: undefined,
    attach(plane) {
      const { processId, client, server, limits, now } = options;
      cut = new BoundaryCut({
        processId,
        plane,
        applicationClient: client,
        applicationServer: server,
        source,
        limits,
        now,
      });
      return cut;
    },
    onTrafficFlows() {},
    start() {},
    stop() {},
  };
}

/** Incoming ids of different incarnations must not meet, and lie above those that callers without an agent count up. */
const firstIdsMax = 2 ** 20;
const idsPerIncarnation = 2 ** 32;

/** An application that says itself where it stands. */
export function createParticipantApplication(options: ApplicationOptions): Application {
  const { processId, incarnation, address, limits, now, logger } = options;
  const firstIncomingId = randomInt(1, firstIdsMax) * idsPerIncarnation + 1;
  const session = new ParticipantSession({
    address,
    agentIncarnation: incarnation,
    firstCallId: firstIncomingId,
    limits: defaultParticipantLimits,
    logger,
  });
  let attached: { plane: DataPlane; receipts: ReceiptBook; settlements: Settlements } | undefined;
  const side: ApplicationSide = {
    get ready() {
      return session.ready;
    },
    get error() {
      return session.error;
    },
    get confirmsReceipt() {
      return session.confirmsReceipt;
    },
    settle: (call: CallEnd) => attached?.settlements.add(call),
    cancelled() {},
    streamAnswered() {},
  };
  return {
    side,
    firstIncomingId,
    get unreadyReason() {
      return session.unreadyReason;
    },
    attach(plane) {
      const receipts = new ReceiptBook(plane.calls, plane.gate);
      attached = { plane, receipts, settlements: new Settlements(session, plane.gate, logger) };
      return new ExactCut({ processId, plane, session, receipts, limits, now });
    },
    onTrafficFlows() {
      attached?.receipts.applyWaiting();
      attached?.settlements.applyWaiting();
      session.resume();
    },
    start() {
      session.start({
        onKnown: () => attached?.plane.applicationCameUp(),
        onGone: () => attached?.plane.calls.applicationGone(),
        onNewInstance() {
          attached?.plane.calls.forgetApplication();
          attached?.settlements.forgetApplication();
        },
        onReceipts: (receipts) => attached?.receipts.take(receipts) ?? "next",
      });
    },
    stop() {
      attached?.settlements.stop();
      session.stop();
    },
  };
}
