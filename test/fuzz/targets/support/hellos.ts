import { LinkHello, LinkRefusal, LinkWelcome } from "@cutline/proto/link";
import type { Random } from "../../../../packages/simulator/src/engine/random.ts";
import { encodeFrameHeader, FrameType } from "../../../../services/agent/src/dataplane/link/codec.ts";
import { encodeHeaders } from "../../../../services/agent/src/dataplane/link/headers.ts";

export const self = { processId: "bank/a", incarnation: "1" };

const hello: LinkHello = {
  protocolVersion: 1,
  linkId: "link",
  processId: "bank/hostile",
  incarnation: "1",
  peerProcessId: self.processId,
  peerIncarnation: self.incarnation,
  resume: false,
  receivedThrough: 0,
  connection: 1,
  giveUp: false,
};

function frame(type: FrameType, payload: Uint8Array, number = 0, callId = 0): Buffer {
  return Buffer.concat([encodeFrameHeader(type, 0, number, callId, payload.length), payload]);
}

const helloFrame = (changes: Partial<LinkHello>) =>
  frame(FrameType.hello, LinkHello.encode({ ...hello, ...changes }).finish());

const open = frame(FrameType.open, encodeHeaders([":path", "/a.B/C", "content-type", "application/grpc"]), 1, 1);
const refusal = LinkRefusal.encode({ code: "CLOSED", message: "over" }).finish();
const welcome = LinkWelcome.encode({ protocolVersion: 1, ...self, receivedThrough: 0 }).finish();

/** What a dialler might send first, and what follows at once. */
export const handshakes: readonly Buffer[] = [
  helloFrame({}),
  helloFrame({ protocolVersion: 2 }),
  helloFrame({ resume: true }),
  helloFrame({ giveUp: true }),
  helloFrame({ peerProcessId: "bank/other" }),
  helloFrame({ receivedThrough: Number.MAX_SAFE_INTEGER }),
  helloFrame({ processId: "bank/honest" }),
  frame(FrameType.welcome, welcome),
  Buffer.concat([helloFrame({}), open]),
  Buffer.concat([helloFrame({}), open, frame(FrameType.refusal, refusal)]),
  Buffer.concat([helloFrame({}), helloFrame({})]),
];

export function anyHandshake(random: Random): Buffer {
  const first = helloFrame({
    linkId: `link-${random.below(5)}`,
    resume: random.happens(0.3),
    giveUp: random.happens(0.1),
    connection: random.below(4),
    receivedThrough: random.pick([0, 0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) ?? 0,
  });
  return Buffer.concat([first, ...(random.happens(0.5) ? [open] : []), ...(random.happens(0.3) ? [first] : [])]);
}

export const honestHello = helloFrame({ linkId: "honest", processId: "bank/witness" });
export const ping = frame(FrameType.ping, Buffer.alloc(0));
