import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Marker } from "@cutline/proto/link";
import type { SnapshotRef } from "@cutline/protocol";
import { type LogFields, type Logger, silentLogger } from "@cutline/runtime";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { Recorder } from "../../../services/agent/src/capture/recorder.ts";
import { defaultCallLimits } from "../../../services/agent/src/dataplane/call/call-host.ts";
import { DataPlane } from "../../../services/agent/src/dataplane/data-plane.ts";
import {
  encodeFrameHeader,
  FrameDecoder,
  FrameError,
  FrameFlag,
  FrameType,
  isNumbered,
} from "../../../services/agent/src/dataplane/link/codec.ts";
import { encodeHeaders } from "../../../services/agent/src/dataplane/link/headers.ts";
import { defaultLinkLimits, type Link } from "../../../services/agent/src/dataplane/link/link.ts";
import { defaultMeshLimits } from "../../../services/agent/src/dataplane/link/mesh.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Session, type Target } from "../engine/target.ts";
import { FakeApplication, FakeStream } from "./support/application.ts";

const callLimits = { ...defaultCallLimits, windowBytes: 512, keptBytesMax: 2_048, waitingBytesMax: 512 };
const linkLimits = { ...defaultLinkLimits, unacknowledgedBytesMax: 4_096, openCallsMax: 8, strayBytesMax: 4_096 };
const recordedBytesMax = 64 * 1024;
/** Frames that one execution takes in. */
const framesMax = 400;

const requestHeaders = [":method", "POST", ":path", "/bank.v1.Bank/Transfer", "content-type", "application/grpc"];

/** Bits of the first byte of an input. */
const Way = { dialler: 1, anyNumbers: 2, lateCapture: 4, captureFails: 8, confirms: 16, notReady: 32 } as const;

/** A link's other end as far as a link writes to it. */
function sink(): Socket {
  const taken = {
    on() {},
    cork() {},
    uncork() {},
    write: () => true,
    end() {},
    destroy() {},
    setTimeout() {},
    writableLength: 0,
  };
  return taken as unknown as Socket;
}

function frame(type: FrameType, number: number, callId: number, payload: Uint8Array = Buffer.alloc(0), flags = 0) {
  return Buffer.concat([encodeFrameHeader(type, flags, number, callId, payload.length), payload]);
}

function message(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

const marker = (snapshotId: string, attempt = 1) => Marker.encode({ snapshotId, attempt, initiator: "" }).finish();
const headers = encodeHeaders(requestHeaders);
const trailers = encodeHeaders(["grpc-status", "0"]);

/** Frames of a peer, in an order that may or may not make sense. */
function conversation(random: Random): Buffer {
  const frames: Buffer[] = [Buffer.from([random.below(64)])];
  for (let number = 1 + random.below(random.happens(0.05) ? 60 : 14); number > 0; number -= 1) {
    const callId = 1 + random.below(8);
    const pieces: readonly (() => Buffer)[] = [
      () => frame(FrameType.open, number, callId, headers),
      () => frame(FrameType.message, number, callId, message("m".repeat(random.below(300))), FrameFlag.endOfMessage),
      () => frame(FrameType.message, number, callId, randomBytes(random, 1 + random.below(20)), random.below(2)),
      () => frame(FrameType.halfClose, number, callId),
      () => frame(FrameType.headers, number, callId, headers),
      () => frame(FrameType.trailers, number, callId, trailers, random.below(2)),
      () => frame(FrameType.reset, number, callId, Buffer.from([0, 0, 0, random.below(14)])),
      () => frame(FrameType.marker, number, 0, marker(`s${random.below(3)}`, 1 + random.below(2))),
      () => frame(FrameType.acknowledge, random.below(12), 0),
      () => frame(FrameType.credit, random.pick([0, 600, 5_000, 2 ** 48 - 1]) ?? 0, callId),
      () => frame(FrameType.ping, 0, 0),
      () => frame(FrameType.pong, 0, 0),
      () => frame(random.pick([FrameType.refusal, FrameType.hello, FrameType.welcome]) ?? FrameType.ping, 0, 0),
    ];
    const made = random.pick(pieces.slice(0, random.happens(0.7) ? 8 : pieces.length));
    if (made !== undefined) frames.push(made());
  }
  return Buffer.concat(frames);
}

/** One process, an honest peer whose call is open all the time, and in each execution one more peer that says anything. */
class House implements Session {
  readonly #application = new FakeApplication();
  readonly #recorder = new Recorder(recordedBytesMax);
  readonly #plane: DataPlane;
  readonly #side = { ready: true, error: undefined, confirmsReceipt: false };
  #witness: Link;
  #witnessNumber = 0;
  #linksMade = 0;
  #snapshots: SnapshotRef[] = [];
  #waiting: SnapshotRef[] = [];
  #way = 0;
  #defect: unknown;

  constructor() {
    const side = this.#side;
    const events = {
      onCapture: (ref: SnapshotRef) => this.#capture(ref),
      onCut() {},
      onChannel: ({ ref, channel }: { ref: SnapshotRef; channel: string }) => void this.#recorder.encode(ref, channel),
      onFailed() {},
      onForget() {},
    };
    this.#plane = new DataPlane(
      {
        self: { processId: "bank/a", incarnation: "1" },
        firstIncomingId: 1,
        application: {
          get ready() {
            return side.ready;
          },
          error: undefined,
          get confirmsReceipt() {
            return side.confirmsReceipt;
          },
          settle: (call) => call.settled(),
          cancelled() {},
          streamAnswered() {},
        },
        callLimits,
        linkLimits,
        meshLimits: defaultMeshLimits,
        recorder: this.#recorder,
        applicationClient: this.#application,
        environmentClient: () => undefined,
        now: () => performance.now(),
        logger: this.#logger(),
      },
      events,
    );
    this.#witness = this.#openWitness();
  }

  run(input: Buffer): void {
    const { driver, calls } = this.#plane;
    this.#way = input[0] ?? 0;
    this.#side.confirmsReceipt = this.#is(Way.confirms);
    this.#side.ready = !this.#is(Way.notReady);
    const choices = choicesOf(input);
    this.#linksMade += 1;
    const peer = { processId: "bank/hostile", incarnation: "1" };
    const role = this.#is(Way.dialler) ? "dialler" : "acceptor";
    const link = driver.openLink({ id: `hostile-${this.#linksMade}`, peer, role });
    const socket = sink();
    assert.equal(link.attach(socket, 0), "attached");
    for (let made = choices.below(3); made > 0; made -= 1) {
      const stream = new FakeStream();
      const arrival = calls.openOutgoing(link, stream, requestHeaders, false);
      if (arrival.outcome === "call") this.#application.adopt(stream, arrival.call);
    }
    this.#feed(link, input, choices);
    this.#checkBounds(link);
    this.#speak();
    for (const ref of this.#waiting.splice(0)) {
      if (!driver.isRunning(ref)) continue;
      if (this.#is(Way.captureFails)) driver.captureFailed(ref, "CaptureFailed", "as told");
      else this.#captured(ref);
    }
    this.#side.ready = true;
    this.#plane.applicationCameUp();
    link.detach(socket);
    driver.closeLink(link, "the execution is over");
    for (const ref of this.#snapshots.splice(0)) driver.ended(ref);
    this.#application.endAll();
    this.#speak();
    if (this.#defect !== undefined) throw this.#defect;
    this.#checkNothingLeft(link);
  }

  close(): Promise<void> {
    return this.#plane.mesh.stop();
  }

  #feed(link: Link, input: Buffer, choices: Random): void {
    let frames = 0;
    const decoder = new FrameDecoder({
      onFrame: (type, flags, number, callId, payload) => {
        frames += 1;
        if (frames > framesMax) return;
        const next = this.#is(Way.anyNumbers) || !isNumbered(type) ? number : link.receivedThrough + 1;
        link.receive(type, flags, next, callId, payload);
        if (choices.happens(0.3)) this.#application.act(choices);
      },
    });
    try {
      for (const piece of piecesOf(input.subarray(1), choices)) decoder.feed(piece);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
    }
  }

  /** Limits hold whatever the peer has sent. */
  #checkBounds(link: Link): void {
    assert.ok(link.calls.size <= 2 * linkLimits.openCallsMax + 2, `${link.calls.size} calls are open`);
    assert.ok(this.#recorder.totalBytes <= recordedBytesMax);
    assert.ok(link.dead || link.strays.bytes <= linkLimits.strayBytesMax, `${link.strays.bytes} bytes wait for nobody`);
    for (const call of link.calls.values()) {
      const most = callLimits.keptBytesMax + 2 * callLimits.windowBytes + 1024 * 1024 + headers.length;
      assert.ok(call.inbound.bytes <= most + 64 * 1024, `${call.inbound.bytes} bytes wait for the application`);
    }
  }

  /** The honest peer sends a message, and the application gets it. */
  #speak(): void {
    if (this.#witness.dead) throw new Error("the link of an honest peer was closed");
    const before = this.#application.received;
    this.#witnessNumber += 1;
    const number = this.#witnessNumber;
    this.#witness.receive(FrameType.message, FrameFlag.endOfMessage, number, 1, message("hello"));
    assert.equal(this.#application.received, before + 1, "a message of an honest peer did not arrive");
  }

  #checkNothingLeft(link: Link): void {
    const { driver, calls } = this.#plane;
    assert.deepEqual([...driver.links.keys()], [this.#witness.id]);
    assert.equal(link.calls.size, 0, "calls of a closed link are left");
    assert.equal(calls.openCalls, 0, "calls are left in the tables");
    assert.equal(driver.state.snapshots.size, 0, "snapshots are left");
    assert.deepEqual([driver.state.incoming.size, driver.state.outgoing.size], [1, 1], "channels are left");
    assert.equal(this.#recorder.totalBytes, 0, "recorded frames are left");
  }

  #capture(ref: SnapshotRef): void {
    this.#snapshots.push(ref);
    if (this.#is(Way.lateCapture)) this.#waiting.push(ref);
    else this.#captured(ref);
  }

  #captured(ref: SnapshotRef): void {
    this.#plane.driver.captured(ref);
  }

  #openWitness(): Link {
    const peer = { processId: "bank/honest", incarnation: "1" };
    const link = this.#plane.driver.openLink({ id: "honest", peer, role: "acceptor" });
    link.attach(sink(), 0);
    this.#witnessNumber = 1;
    link.receive(FrameType.open, 0, 1, 1, headers);
    this.#application.keep();
    return link;
  }

  #is(bit: number): boolean {
    return (this.#way & bit) !== 0;
  }

  /** What the driver takes for a broken protocol must be one; anything else is a defect of this side. */
  #logger(): Logger {
    return {
      ...silentLogger,
      error: ({ error }: LogFields) => {
        if (!(error instanceof FrameError)) this.#defect ??= error;
      },
    };
  }
}

/** `Link.receive` with everything behind it: frames of a hostile peer cost that peer its link, and nobody else anything. */
export const target: Target = {
  name: "link",
  testExecutions: defaultTestExecutions,
  samples() {
    const open = [frame(FrameType.open, 1, 1, headers), frame(FrameType.open, 2, 3, headers)];
    const talk = [
      frame(FrameType.message, 3, 1, message("one"), FrameFlag.endOfMessage),
      frame(FrameType.halfClose, 4, 1),
    ];
    const answer = [
      frame(FrameType.headers, 1, 2, headers),
      frame(FrameType.message, 2, 2, message("answer"), FrameFlag.endOfMessage),
      frame(FrameType.trailers, 3, 2, trailers),
    ];
    const cut = [frame(FrameType.marker, 5, 0, marker("s1")), frame(FrameType.message, 6, 3, message("behind"), 1)];
    return [0, Way.lateCapture, Way.confirms, Way.confirms + Way.lateCapture].flatMap((way) => [
      Buffer.concat([Buffer.from([way]), ...open, ...talk, ...cut]),
      Buffer.concat([Buffer.from([way]), ...answer]),
      Buffer.concat([Buffer.from([way]), ...cut, ...open, ...talk]),
    ]);
  },
  generate: conversation,
  open: () => new House(),
};
