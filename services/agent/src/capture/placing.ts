import type { CallPosition, CapturePoint } from "@cutline/proto/participant";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import { everything, nothingYet, type Position } from "../dataplane/call/position.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { count, type Doubts } from "./doubts.ts";
import { membersOf } from "./number-set.ts";
import { callsOf } from "./standstill.ts";

/** What the application had sent on each call that it had made and not ended, by id. */
export function madeAndOpen(point: CapturePoint): Map<number, Position> {
  return new Map(point.outgoingOpen.map((position) => [position.callId, sentSoFar(position)]));
}

/** Tells every call where it stands at the point: what the application had received, and what it had sent. */
export function placeCalls(plane: DataPlane, point: CapturePoint, doubts: Doubts): void {
  const ahead = [...placeIncoming(plane, point), ...placeOutgoing(plane, point)];
  if (ahead.length === 0) return;
  const calls = count(ahead.length, "call");
  doubts.add("ReceivedLess", `of ${calls} the application had received less than it had been taken to have received`);
}

/** Returns the calls of which more had been taken for received than the application says. */
function placeIncoming(plane: DataPlane, point: CapturePoint): CallEnd[] {
  const begun = membersOf(point.incomingBegun);
  const open = new Map(point.incomingOpen.map((position) => [position.callId, position]));
  const ahead: CallEnd[] = [];
  for (const call of [...callsOf(plane)]) {
    if (call.role !== "callee" || !call.isHanded) continue;
    const { applicationId: id } = call;
    // Handed over before the application was greeted: flagged, and the best guess is that what was read stands before.
    if (id === undefined) call.cutTarget = { ...call.outbound.read };
    else if (!begun(id)) {
      call.cutTarget = nothingYet;
      if (call.inbound.messagesTaken > 0) ahead.push(call);
    } else {
      const position = open.get(id);
      if (position === undefined) {
        call.cutTarget = everything;
        call.endedAtApplication();
      } else {
        if (call.inbound.messagesTaken > position.messagesReceived) ahead.push(call);
        call.cutTarget = sentSoFar(position);
        call.received(receivedSoFar(position));
      }
    }
  }
  return ahead;
}

function placeOutgoing(plane: DataPlane, point: CapturePoint): CallEnd[] {
  const open = new Map(point.outgoingOpen.map((position) => [position.callId, position]));
  const ahead: CallEnd[] = [];
  for (const call of [...callsOf(plane)]) {
    if (call.role !== "caller") continue;
    const { applicationId: id } = call;
    const position = id === undefined ? undefined : open.get(id);
    // A call without an id is flagged; the best guess is that what came out of the application stands before the cut.
    if (id === undefined) call.cutTarget = { ...call.outbound.read };
    else if (position !== undefined) {
      if (call.inbound.messagesTaken > position.messagesReceived) ahead.push(call);
      call.received(receivedSoFar(position));
      call.cutTarget = sentSoFar(position);
    } else if (call.epoch <= point.epoch) call.abandon();
    else call.cutTarget = nothingYet;
  }
  return ahead;
}

function sentSoFar({ headersSent, messagesSent, endSent }: CallPosition): Position {
  return { headers: headersSent, messages: messagesSent, end: endSent };
}

function receivedSoFar({ headersReceived, messagesReceived, endReceived }: CallPosition): Position {
  return { headers: headersReceived, messages: messagesReceived, end: endReceived };
}
