import { CapturePoint, ReceiptsResponse } from "@cutline/proto/participant";
import { silentLogger } from "@cutline/runtime";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { Doubts } from "../../../services/agent/src/capture/doubts.ts";
import { membersOf } from "../../../services/agent/src/capture/number-set.ts";
import { madeAndOpen, placeCalls } from "../../../services/agent/src/capture/placing.ts";
import { ReceiptBook } from "../../../services/agent/src/capture/receipts.ts";
import { Recorder } from "../../../services/agent/src/capture/recorder.ts";
import { defaultCallLimits } from "../../../services/agent/src/dataplane/call/call-host.ts";
import { DataPlane } from "../../../services/agent/src/dataplane/data-plane.ts";
import { FrameFlag, FrameType } from "../../../services/agent/src/dataplane/link/codec.ts";
import { encodeHeaders } from "../../../services/agent/src/dataplane/link/headers.ts";
import { defaultLinkLimits } from "../../../services/agent/src/dataplane/link/link.ts";
import { defaultMeshLimits } from "../../../services/agent/src/dataplane/link/mesh.ts";
import { choicesOf, delimited, recordsOf } from "../engine/inputs.ts";
import type { Target } from "../engine/target.ts";
import { FakeApplication, FakeStream } from "./support/application.ts";
import { decoded } from "./support/decoded.ts";

const requestHeaders = [":path", "/a.B/C", "content-type", "application/grpc", "cutline-epoch", "1", "cutline-call-id"];
const opening = encodeHeaders(requestHeaders.slice(0, 4));
const message = Buffer.from([0, 0, 0, 0, 2, 7, 7]);
const callsMax = 4;

const position = {
  callId: 1,
  headersReceived: true,
  messagesReceived: 1,
  endReceived: false,
  headersSent: true,
  messagesSent: 1,
  endSent: false,
  waitsFor: [1],
  method: "/a.B/C",
};

function numberOf(random: Random): number {
  return random.pick([0, 1, 2, 3, 500, 4_095, 20_000, 99_999, 200_001, 2 ** 32, Number.MAX_SAFE_INTEGER]) ?? 0;
}

function anyPoint(random: Random): CapturePoint {
  const set = () => ({
    first: numberOf(random),
    through: numberOf(random),
    also: [numberOf(random), numberOf(random)],
  });
  const open = () => ({
    ...position,
    callId: random.below(callsMax + 1),
    messagesReceived: numberOf(random),
    messagesSent: numberOf(random),
    endReceived: random.happens(0.3),
    endSent: random.happens(0.3),
    waitsFor: [numberOf(random)],
  });
  return {
    epoch: numberOf(random),
    contentType: "application/json",
    lockWaitUs: 0,
    captureUs: 0,
    incomingBegun: random.happens(0.8) ? set() : undefined,
    incomingOpen: Array.from({ length: random.below(4) }, open),
    outgoingOpen: Array.from({ length: random.below(4) }, open),
  };
}

function anyReceipts(random: Random): ReceiptsResponse {
  return {
    calls: Array.from({ length: random.below(4) }, () => ({
      callId: random.below(callsMax + 1),
      outgoing: random.happens(0.5),
      messagesReceived: numberOf(random),
    })),
    outgoingEnded: { first: numberOf(random), through: numberOf(random), also: [numberOf(random)] },
  };
}

const encodePoint = (point: CapturePoint) => CapturePoint.encode(point).finish();
const encodeReceipts = (receipts: ReceiptsResponse) => ReceiptsResponse.encode(receipts).finish();

function newPlane(application: FakeApplication): DataPlane {
  return new DataPlane(
    {
      self: { processId: "bank/a", incarnation: "1" },
      firstIncomingId: 1,
      application: {
        ready: true,
        error: undefined,
        confirmsReceipt: true,
        settle: (call) => call.settled(),
        cancelled() {},
        streamAnswered() {},
      },
      callLimits: defaultCallLimits,
      linkLimits: defaultLinkLimits,
      meshLimits: defaultMeshLimits,
      recorder: new Recorder(64 * 1024),
      applicationClient: application,
      environmentClient: () => undefined,
      now: () => performance.now(),
      logger: silentLogger,
    },
    { onCapture() {}, onCut() {}, onChannel() {}, onFailed() {}, onForget() {} },
  );
}

/** What an application says of its calls, in receipts and at a capture: it may lie, and the agent goes on. */
export const target: Target = {
  name: "participant",
  // An execution has an agent's calls of its own, because what an application says changes them for good.
  testExecutions: 20_000,
  samples: () => [
    delimited([
      encodeReceipts({ calls: [], outgoingEnded: { first: 1, through: 1, also: [3] } }),
      encodePoint({
        epoch: 1,
        contentType: "",
        lockWaitUs: 0,
        captureUs: 0,
        incomingBegun: { first: 1, through: 2, also: [4] },
        incomingOpen: [position],
        outgoingOpen: [{ ...position, callId: 2 }],
      }),
    ]),
  ],
  generate: (random) => delimited([encodeReceipts(anyReceipts(random)), encodePoint(anyPoint(random))]),
  open: () => ({
    async run(input) {
      const choices = choicesOf(input);
      const application = new FakeApplication();
      const plane = newPlane(application);
      const peer = { processId: "bank/b", incarnation: "1" };
      const link = plane.driver.openLink({ id: "l", peer, role: "acceptor" });
      for (let id = 1, number = 1; id <= callsMax; id += 1, number += 2) {
        link.receive(FrameType.open, 0, number, 2 * id - 1, opening);
        link.receive(FrameType.message, FrameFlag.endOfMessage, number + 1, 2 * id - 1, message);
        const stream = new FakeStream();
        const arrival = plane.calls.openOutgoing(link, stream, [...requestHeaders, String(id)], false);
        if (arrival.outcome === "call") application.adopt(stream, arrival.call);
      }
      const book = new ReceiptBook(plane.calls, plane.gate);
      const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = recordsOf(input, 2);
      const receipts = decoded(ReceiptsResponse, first);
      if (receipts !== undefined) book.take(receipts);
      const point = decoded(CapturePoint, second);
      if (point !== undefined) {
        placeCalls(plane, point, new Doubts());
        plane.calls.rememberCut(point.epoch, madeAndOpen(point));
        membersOf(point.incomingBegun)(1);
        for (const call of [...link.calls.values()]) call.afterCut();
      }
      for (let left = choices.below(6); left > 0; left -= 1) application.act(choices);
      plane.driver.closeLink(link, "the execution is over");
      application.endAll();
      await plane.mesh.stop();
    },
    close() {},
  }),
};
