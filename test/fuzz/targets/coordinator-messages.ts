import { EventEmitter } from "node:events";
import { Writable } from "node:stream";
import { ControlClient, CoordinatorMessage } from "@cutline/proto/control";
import { type LogFields, type Logger, loadConfig, silentLogger } from "@cutline/runtime";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { createAgent } from "../../../services/agent/src/app.ts";
import { agentConfig } from "../../../services/agent/src/config.ts";
import { delimited, recordsOf } from "../engine/inputs.ts";
import type { Session, Target } from "../engine/target.ts";
import { decoded } from "./support/decoded.ts";

type Body = NonNullable<CoordinatorMessage["body"]>;

const messagesMax = 40;

const process = { processId: "bank/b", incarnation: "1", linkAddress: "127.0.0.1:1", authorities: ["b:80"] };
const start = { ref: { snapshotId: "s1", attempt: 1 }, remainingMs: 30_000, store: true };
const directory = { version: 1, processes: [process] };

const bodies: readonly Body[] = [
  { $case: "welcome", value: { term: 1, heartbeatMs: 1_000, directory, running: [start] } },
  { $case: "welcome", value: { term: 1, heartbeatMs: 0, directory: undefined, running: [] } },
  { $case: "directory", value: directory },
  { $case: "directory", value: { version: 2, processes: [process, { ...process, incarnation: "2" }] } },
  { $case: "start", value: start },
  { $case: "start", value: { ...start, store: false, remainingMs: 2 ** 32 - 1 } },
  { $case: "start", value: { ref: undefined, remainingMs: 0, store: true } },
  { $case: "end", value: { ref: start.ref, phase: "Aborted", reason: "" } },
  { $case: "heartbeat", value: {} },
];

const encode = (body: Body) => CoordinatorMessage.encode({ body }).finish();
const [welcome = Buffer.alloc(0), ...others] = bodies.map(encode);

function anyMessages(random: Random): Buffer {
  const messages = [welcome];
  for (let left = random.below(8); left > 0; left -= 1) {
    const ref = { snapshotId: `s${random.below(100)}`, attempt: random.below(3) };
    const made: readonly Body[] = [
      { $case: "start", value: { ref, remainingMs: random.below(2 ** 32), store: random.happens(0.5) } },
      { $case: "end", value: { ref, phase: "Failed", reason: "ProcessLost" } },
    ];
    const body = random.pick(made);
    messages.push(random.happens(0.4) || body === undefined ? (random.pick(others) ?? welcome) : encode(body));
  }
  return delimited(messages);
}

/** The agent's end of its stream to the coordinator, without a network. */
class FakeStream extends EventEmitter {
  readonly writableLength = 0;
  readonly #opened: (stream: FakeStream) => void;

  constructor(opened: (stream: FakeStream) => void) {
    super();
    this.#opened = opened;
  }

  write(): boolean {
    this.#opened(this);
    return true;
  }

  end(): void {
    this.emit("status", { code: 0, details: "" });
  }

  cancel(): void {}
}

/** A whole agent whose coordinator says whatever the input says. */
class Post implements Session {
  #stream: FakeStream | undefined;
  #agent: ReturnType<typeof createAgent>;
  #defect: unknown;

  constructor() {
    const { prototype } = ControlClient as unknown as { prototype: Record<string, unknown> };
    prototype.attach = () =>
      new FakeStream((stream) => {
        this.#stream = stream;
      });
    prototype.upload = () => {
      const call = new Writable({ objectMode: true, write: (_message, _encoding, done) => done() });
      // Nobody answers: an upload is broken off when its snapshot ends.
      return Object.assign(call, { cancel: () => call.destroy() });
    };
    const loaded = loadConfig(agentConfig, {
      CUTLINE_PROCESS_ID: "bank/a",
      CUTLINE_APPLICATION_ADDRESS: "127.0.0.1:1",
      CUTLINE_OUTBOUND_PORT: "0",
      CUTLINE_INBOUND_PORT: "0",
      CUTLINE_LINK_PORT: "0",
      CUTLINE_ADMIN_PORT: "0",
      CUTLINE_STOP_GRACE_MS: "100",
    });
    if (loaded.outcome !== "ok") throw new Error(JSON.stringify(loaded));
    const logger: Logger = {
      ...silentLogger,
      error: ({ error }: LogFields) => {
        this.#defect ??= error;
      },
      child: () => logger,
    };
    this.#agent = createAgent(loaded.config, { logger });
  }

  async start(): Promise<this> {
    await this.#agent.start();
    return this;
  }

  async run(input: Buffer): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) throw new Error("the agent has not attached");
    const refs = new Map<string, { snapshotId: string; attempt: number }>();
    for (const record of recordsOf(input, messagesMax)) {
      const message = decoded(CoordinatorMessage, record);
      if (message === undefined) break;
      const { body } = message;
      const starts = body?.$case === "start" ? [body.value] : body?.$case === "welcome" ? body.value.running : [];
      for (const { ref } of starts) if (ref !== undefined) refs.set(`${ref.snapshotId}/${ref.attempt}`, ref);
      stream.emit("data", message);
    }
    // Captures of an application without a state take a turn or two.
    await new Promise((resolve) => setImmediate(resolve));
    for (const ref of refs.values()) {
      stream.emit("data", { body: { $case: "end", value: { ref, phase: "Aborted", reason: "" } } });
    }
    if (this.#stream !== stream) throw new Error("the agent has left its coordinator");
    if (this.#defect !== undefined) throw this.#defect;
  }

  async close(): Promise<void> {
    await this.#agent.stop();
  }
}

/** What a coordinator says to a whole agent: it goes on, keeps its stream, and keeps nothing of snapshots that ended. */
export const target: Target = {
  name: "coordinator-messages",
  // An execution gives captures their turns of the event loop.
  testExecutions: 100_000,
  samples: () => [
    delimited([welcome]),
    delimited([welcome, ...others]),
    ...others.map((other) => delimited([welcome, other])),
  ],
  generate: anyMessages,
  open: () => new Post().start(),
};
