import { type AgentHello, AgentMessage } from "@cutline/proto/control";
import type { SnapshotRef } from "@cutline/proto/snapshot";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { delimited, recordsOf } from "../engine/inputs.ts";
import type { Session, Target } from "../engine/target.ts";
import { FakeAttach, FakeCoordinator, helloOf, honestId, hostileId, runningName } from "./support/coordinator.ts";
import { decoded } from "./support/decoded.ts";

type Body = NonNullable<AgentMessage["body"]>;

const messagesMax = 40;

const ref = { snapshotId: runningName, attempt: 1 };
const sent = {
  channelId: "link1:0",
  to: "bank/honest",
  sentAtCut: 5,
  markersSent: 1,
  markersSentSum: 2,
  outboxCount: 1,
  outboxMessages: 1,
};
const peer = { authority: "outside:443", direction: "outbound", calls: 3, openCalls: 1 };
const reason = { code: "CallsInProcess", message: "One call was in process.", processId: hostileId };
const closed = {
  ref,
  channelId: "link1:1",
  from: "bank/honest",
  markerNumber: 6,
  markersReceived: 0,
  markersReceivedSum: 0,
  deliveredAtCut: 4,
  deliveredSum: 10,
  deliveredMax: 4,
  recorded: [{ first: 5, last: 5 }],
  recordedCount: 1,
  messages: 1,
};
const cut = {
  ref,
  exact: true,
  reasons: [],
  pauseUs: 10,
  lockWaitUs: 1,
  epoch: 1,
  outgoing: [sent],
  incoming: ["link1:1"],
  environment: [peer],
  callsInProcess: 1,
  trigger: "start",
};
const link = { linkId: "l", peerProcessId: "bank/honest", phase: "connected", openCalls: 1, sent: 2, received: 3 };

const bodies: readonly Body[] = [
  { $case: "hello", value: helloOf(hostileId) },
  { $case: "cut", value: cut },
  { $case: "cut", value: { ...cut, exact: false, reasons: [reason], outgoing: [], incoming: [] } },
  { $case: "channel", value: closed },
  { $case: "captureFailed", value: { ref, reason } },
  { $case: "captureFailed", value: { ref: undefined, reason: undefined } },
  { $case: "status", value: { ready: false, reasons: [reason], links: [link], environment: [peer] } },
  { $case: "leaving", value: {} },
  { $case: "heartbeat", value: {} },
];

const encode = (body: Body) => AgentMessage.encode({ body }).finish();
const [hello = Buffer.alloc(0), ...others] = bodies.map(encode);

function number(random: Random): number {
  return random.pick([0, 1, 2, 5, 6, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER]) ?? 0;
}

/** Reports whose form is right and whose numbers are anything. */
function reports(random: Random): Buffer {
  const channelId = random.pick(["link1:0", "link1:1", "link2:0", ""]) ?? "";
  const counts = Object.fromEntries(
    ["sentAtCut", "markersSent", "markersSentSum", "outboxCount", "outboxMessages"].map((name) => [
      name,
      number(random),
    ]),
  );
  const told = Object.fromEntries(
    ["markerNumber", "markersReceived", "markersReceivedSum", "deliveredAtCut", "deliveredSum", "deliveredMax"]
      .concat("recordedCount", "messages")
      .map((name) => [name, number(random)]),
  );
  const recorded = Array.from({ length: random.below(4) }, () => ({ first: number(random), last: number(random) }));
  const made: Body[] = [
    { $case: "cut", value: { ...cut, pauseUs: number(random), outgoing: [{ ...sent, ...counts, channelId }] } },
    { $case: "channel", value: { ...closed, ...told, channelId, recorded } },
  ];
  return delimited([hello, ...made.filter(() => random.happens(0.8)).map(encode), random.pick(others) ?? hello]);
}

class Room implements Session {
  readonly #coordinator: FakeCoordinator;
  #running: SnapshotRef = ref;

  constructor(coordinator: FakeCoordinator) {
    this.#coordinator = coordinator;
  }

  async run(input: Buffer): Promise<void> {
    this.#running = await this.#coordinator.running();
    const stream = new FakeAttach();
    this.#coordinator.attach(stream);
    let named: string | undefined;
    for (const record of recordsOf(input, messagesMax)) {
      const message = decoded(AgentMessage, record);
      // What cannot be decoded ends the stream, in grpc-js.
      if (message === undefined) break;
      this.#aim(message.body);
      if (message.body?.$case === "hello") named ??= message.body.value.processId;
      stream.say(message);
    }
    stream.emit("cancelled");
    await this.#coordinator.check();
    this.#tidy(named);
  }

  close(): Promise<void> {
    return this.#coordinator.close();
  }

  /** The hostile process is there again, so that the next execution's reports are heeded; others have left. */
  #tidy(named: string | undefined): void {
    for (const processId of new Set([named ?? hostileId, hostileId])) {
      const stream = new FakeAttach();
      this.#coordinator.attach(stream);
      stream.say({ body: { $case: "hello", value: helloOf(processId) } });
      if (processId !== hostileId) stream.say({ body: { $case: "leaving", value: {} } });
    }
  }

  /** Reports of the attempt named `running` are about the one that does. */
  #aim(body: Body | undefined): void {
    // Whoever says a process's id is that process here, and takes the place of the stream before.
    if (body?.$case === "hello" && body.value.processId === honestId) body.value.processId = hostileId;
    if (body === undefined || !("ref" in body.value)) return;
    const { ref: named } = body.value;
    if (named?.snapshotId !== runningName) return;
    named.snapshotId = this.#running.snapshotId;
    if (named.attempt === 1) named.attempt = this.#running.attempt;
  }
}

/** What agents say: `serveAttach`, the directory, and the snapshots' bookkeeping behind them. */
export const target: Target = {
  name: "agent-messages",
  // An execution is a stream of reports, and often the end of a snapshot in a store.
  testExecutions: 100_000,
  samples: () => [
    delimited([hello]),
    delimited([hello, ...others]),
    ...others.map((other) => delimited([hello, other])),
    delimited([others[0] ?? hello]),
    delimited([encode({ $case: "hello", value: { ...helloOf("UPPER") } as AgentHello })]),
  ],
  generate: reports,
  open: async () => new Room(await FakeCoordinator.open()),
};
