import { randomUUID } from "node:crypto";
import { type ParticipantServer, ParticipantService } from "@cutline/proto/participant";
import type { Server } from "@grpc/grpc-js";
import { Calls, type IncomingCall } from "./calls.ts";
import { Captures } from "./captures.ts";
import { encodeResponse } from "./chunk.ts";
import { ParticipantError, statusFor } from "./errors.ts";
import { wrapServer } from "./incoming.ts";
import { protocolVersion, receiptIntervalMsDefault, sdkName, settleIdsMax } from "./limits.ts";
import { wrapClient } from "./outgoing.ts";
import { Receipts } from "./receipts.ts";
import { Sections } from "./section.ts";
import type { StateChunks } from "./state-source.ts";

export interface ParticipantOptions {
  /**
   * Called synchronously at the instant of a capture, when no section runs. Returns
   *
   * - a value that `JSON.stringify` can write without loss (a `Map`, a `Set` or a `NaN` in it is an error),
   * - a string or a `Uint8Array`, or
   * - an iterable or async iterable of chunks, which is read afterwards while the application runs on: it must be a
   *   frozen view, and may still be read when `state` is called for the next capture.
   *
   * What it throws, or a promise it returns, ends the capture with an error, and nothing else.
   */
  // `object` includes what is JSON and what is iterable; a promise is refused when it is returned.
  readonly state: () => object | string | Uint8Array | StateChunks | number | boolean | null;
  /** Default: `application/json` for strings and JSON, `application/octet-stream` for bytes and chunks. */
  readonly contentType?: string;
  /** How often receipts are sent at least when something changed, 1 to 60,000 ms. Default 100. */
  readonly receiptIntervalMs?: number;
}

export interface Participant {
  /**
   * The same server. Every service added to it from here on runs in sections, and it serves Cutline's `Participant`
   * service. Throws `ServicesAlreadyAdded` when services were added before.
   */
  server<S extends Server>(server: S): S;
  /** The same client, whose calls are tracked. Throws `NotAClient` for what is not a client of `@grpc/grpc-js`. */
  client<Client extends object>(client: Client): Client;
  /**
   * Runs `work` so that a capture sees all of it or nothing, for what is not a handler: timers, start-up, listeners
   * with more than one turn. It waits while a capture is pending. Where `work` waits for calls that it made through
   * `client`, a capture may come between. Inside a section it is part of it. `label` names it when it holds a capture up.
   */
  atomic<Result>(work: () => Result | PromiseLike<Result>, label?: string): Promise<Result>;
}

/** One per application: all its servers and clients belong to the same one. */
export function createParticipant(options: ParticipantOptions): Participant {
  const { receiptIntervalMs = receiptIntervalMsDefault } = options;
  if (!Number.isInteger(receiptIntervalMs) || receiptIntervalMs < 1 || receiptIntervalMs > 60_000) {
    throw new ParticipantError("OptionOutOfRange", `receiptIntervalMs is ${receiptIntervalMs}; give 1 to 60000`);
  }
  const calls = new Calls();
  const sections = new Sections<IncomingCall>();
  const by = { calls, sections };
  const receipts = new Receipts(calls, receiptIntervalMs);
  const captures = new Captures({ ...by, state: options.state, contentType: options.contentType });
  const service = participantService(calls, captures, receipts);
  const definition = {
    ...ParticipantService,
    capture: { ...ParticipantService.capture, responseSerialize: encodeResponse },
  };
  return {
    server(server) {
      const addService = server.addService.bind(server);
      // Before the wrapping: these work while a capture is pending.
      wrapServer(server, by, () => addService(definition, service));
      const tryShutdown = server.tryShutdown.bind(server);
      server.tryShutdown = (callback) => {
        receipts.close();
        tryShutdown(callback);
      };
      return server;
    },
    client: (client) => wrapClient(client, by),
    atomic: (work, label) => sections.atomic(work, label ?? (work.name === "" ? "atomic" : `atomic ${work.name}`)),
  };
}

function participantService(calls: Calls, captures: Captures, receipts: Receipts): ParticipantServer {
  const instance = randomUUID();
  return {
    hello({ request }, callback) {
      if (request.protocolVersion !== protocolVersion) {
        const error = new ParticipantError(
          "ProtocolVersionMismatch",
          `the agent speaks version ${request.protocolVersion} of the participant protocol, ${sdkName} speaks ${protocolVersion}; upgrade the older one`,
        );
        callback(statusFor(error), null);
        return;
      }
      calls.greet(request.agentIncarnation, request.firstCallId);
      callback(null, { protocolVersion, instance, epoch: calls.epoch, sdk: sdkName });
    },
    settle({ request }, callback) {
      const { callIds } = request;
      if (callIds.length > settleIdsMax) {
        const error = new ParticipantError(
          "SettleTooLarge",
          `${callIds.length} call ids in one request, the limit is ${settleIdsMax}; none of them was settled, send them in several requests`,
        );
        callback(statusFor(error), null);
        return;
      }
      callback(null, { stillOpen: calls.settleIncoming(callIds) });
    },
    receipts: (call) => receipts.serve(call),
    capture: (call) => {
      void captures.serve(call);
    },
  };
}
