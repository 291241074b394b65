import type { Participant } from "@cutline/participant";
import type * as grpc from "@grpc/grpc-js";
import { messagesOf, parseCall, readMessage } from "../numbered.ts";
import type { CallRecord, Ledger } from "./ledger.ts";
import { pump, receive, send } from "./pump.ts";

const cancelledWithinMs = 3_000;

export interface ServiceParts {
  readonly participant: Participant;
  readonly ledger: Ledger;
  /** Calls that ended before they were answered, by the name of their caller. */
  onCancelled(record: CallRecord): void;
}

export function numbersImplementation(parts: ServiceParts): grpc.UntypedServiceImplementation {
  const { ledger, participant } = parts;
  const open = (bytes: Buffer, call: { on(event: "cancelled", listener: () => void): unknown }): CallRecord => {
    const record = ledger.serve(readMessage(bytes).call);
    call.on("cancelled", () => {
      if (record.phase === "open") parts.onCancelled(record);
      ledger.broken(record, "callee");
    });
    return record;
  };
  /** grpc-js ends the requests of a call that is cancelled, too, and says that it is cancelled a little later. */
  const whenWhole = (record: CallRecord | undefined, then: (record: CallRecord) => void) => {
    if (record === undefined) return;
    if (record.received === messagesOf(parseCall(record.call), ">")) then(record);
    else setTimeout(() => record.phase === "open" && participant.atomic(() => then(record)), cancelledWithinMs);
  };
  const unary: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    const record = open(call.request, call);
    receive(ledger, record, ">", call.request);
    callback(null, send(ledger, record, "<"));
    ledger.ended(record, "callee");
  };
  const upload: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
    let record: CallRecord | undefined;
    call.on("data", (bytes: Buffer) => {
      record ??= open(bytes, call);
      receive(ledger, record, ">", bytes);
    });
    call.on("end", () => {
      whenWhole(record, (whole) => {
        callback(null, send(ledger, whole, "<"));
        ledger.ended(whole, "callee");
      });
    });
    call.on("error", () => record !== undefined && ledger.broken(record, "callee"));
  };
  const download: grpc.handleServerStreamingCall<Buffer, Buffer> = (call) => {
    const record = open(call.request, call);
    receive(ledger, record, ">", call.request);
    const onSent = () => {
      call.end();
      ledger.ended(record, "callee");
    };
    pump({ participant, ledger, record, direction: "<", stream: call, onSent })();
    call.on("error", () => ledger.broken(record, "callee"));
  };
  const chat: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    let record: CallRecord | undefined;
    call.on("data", (bytes: Buffer) => {
      record ??= open(bytes, call);
      receive(ledger, record, ">", bytes);
      if (record.phase !== "open" || call.write(send(ledger, record, "<"))) return;
      call.pause();
      call.once("drain", () => call.resume());
    });
    call.on("end", () => {
      whenWhole(record, (whole) => {
        call.end();
        ledger.ended(whole, "callee");
      });
    });
    call.on("error", () => record !== undefined && ledger.broken(record, "callee"));
  };
  return { unary, upload, download, chat };
}
