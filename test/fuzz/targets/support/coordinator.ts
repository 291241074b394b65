import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import type {
  AgentHello,
  AgentMessage,
  ControlServer,
  CoordinatorMessage,
  UploadRequest,
  UploadResponse,
} from "@cutline/proto/control";
import { Snapshot, type SnapshotRef } from "@cutline/proto/snapshot";
import { defaultSnapshotPolicy } from "@cutline/protocol";
import { type LogFields, type Logger, silentLogger } from "@cutline/runtime";
import { AgentServer, defaultAgentsLimits } from "../../../../services/coordinator/src/agents/server.ts";
import { nowMs } from "../../../../services/coordinator/src/driver/clock.ts";
import { Driver } from "../../../../services/coordinator/src/driver/driver.ts";
import { defaultDriverLimits } from "../../../../services/coordinator/src/driver/limits.ts";
import { readDocument } from "../../../../services/coordinator/src/store/document.ts";
import { openEmbeddedStore } from "../../../../services/coordinator/src/store/embedded.ts";
import type { Store } from "../../../../services/coordinator/src/store/port.ts";
import { handlersOf } from "../../../../services/coordinator/test/support/handlers.ts";

/** The coordinator's end of one agent's stream, without a network. */
export class FakeAttach extends EventEmitter {
  closed = false;

  constructor() {
    super();
    this.on("error", () => {
      this.closed = true;
    });
  }

  write(_message: CoordinatorMessage): boolean {
    return true;
  }

  end(): void {
    this.closed = true;
  }

  say(message: AgentMessage): void {
    this.emit("data", message);
  }
}

const stateBytesMax = 4_096;
/** A snapshot has these many parts and bytes at most. */
const partsMax = 16;

/** Stands in inputs for the snapshot that runs, whose id is another every time. */
export const runningName = "running";

export const hostileId = "bank/hostile";
export const honestId = "bank/honest";

export function helloOf(processId: string): AgentHello {
  return {
    protocolVersion: 1,
    processId,
    incarnation: "one",
    agentVersion: "0.1.0",
    linkAddress: "127.0.0.1:15008",
    authorities: ["a:80"],
    captureSource: "none",
    labels: { app: "bank" },
    openSnapshots: [],
  };
}

/** A coordinator that leads, with an honest agent and with a snapshot that runs whenever it is asked for one. */
export class FakeCoordinator {
  readonly driver: Driver;
  readonly honest = new FakeAttach();
  readonly #handlers: ControlServer;
  readonly #store: Store;
  #snapshotId = "";
  /** The first error that the coordinator did not expect. */
  defect: unknown;

  static async open(): Promise<FakeCoordinator> {
    const coordinator = new FakeCoordinator(await openEmbeddedStore({ path: ":memory:", operationTimeoutMs: 10_000 }));
    await coordinator.driver.begin();
    for (const [stream, processId] of [
      [coordinator.honest, honestId],
      [new FakeAttach(), hostileId],
    ] as const) {
      coordinator.attach(stream);
      stream.say({ body: { $case: "hello", value: helloOf(processId) } });
    }
    return coordinator;
  }

  private constructor(store: Store) {
    this.#store = store;
    const logger: Logger = {
      ...silentLogger,
      error: ({ error }: LogFields) => {
        this.defect ??= error;
      },
      child: () => logger,
    };
    this.driver = new Driver({
      store,
      holder: "fuzz",
      limits: {
        ...defaultDriverLimits,
        settleMs: 0,
        stateBytesMax,
        snapshotBytesMax: partsMax * stateBytesMax,
        partsMax,
        keepMax: 2,
        housekeepingMs: 500,
        leaseMs: 600_000,
      },
      policy: { ...defaultSnapshotPolicy, graceMs: 600_000, stallMsMin: 600_000, attemptPauseMs: 0 },
      nowMs,
      logger,
    });
    const options = { host: "127.0.0.1", port: 0, nowMs, logger, limits: defaultAgentsLimits };
    const { made: server, handlers } = handlersOf(() => new AgentServer(options, this.driver));
    this.#handlers = handlers;
    this.driver.connect(server);
  }

  attach(stream: FakeAttach): void {
    this.#handlers.attach(stream as unknown as Parameters<ControlServer["attach"]>[0]);
  }

  /** One upload; `undefined`: it was refused, with a status. */
  upload(requests: readonly UploadRequest[]): Promise<UploadResponse | undefined> {
    const call = Readable.from(requests) as Parameters<ControlServer["upload"]>[0];
    return new Promise((resolve, reject) => {
      this.#handlers.upload(call, (error, response) => {
        const code = (error as { code?: unknown } | null)?.code;
        if (error === null || error === undefined) resolve(response ?? undefined);
        else if (typeof code === "number" && code !== 13) resolve(undefined);
        else reject(error);
      });
    });
  }

  /** The attempt that runs now; a new snapshot where none does. */
  async running(): Promise<SnapshotRef> {
    for (let tries = 0; tries < 50; tries += 1) {
      const snapshot = await this.driver.get(this.#snapshotId);
      if (snapshot !== undefined && ["Cutting", "Collecting"].includes(snapshot.phase)) {
        return { snapshotId: this.#snapshotId, attempt: snapshot.attempt };
      }
      if (snapshot === undefined || snapshot.endedAt !== "" || snapshot.phase === "Completed") {
        const outcome = await this.driver.start({ timeoutMs: 3_600_000, attempts: 2 });
        if (outcome.outcome !== "refused") this.#snapshotId = outcome.snapshot.id;
      }
      this.driver.timePassed();
      await new Promise((resolve) => setTimeout(resolve, tries < 20 ? 0 : tries));
    }
    const { phase, reason, message } = (await this.driver.get(this.#snapshotId)) ?? {};
    throw new Error(`no snapshot can be run any more: ${phase} ${reason} ${message}`);
  }

  /** Whatever was reported, the document can be written and read. */
  async check(): Promise<void> {
    if (this.honest.closed) throw new Error("the stream of an honest agent was closed");
    const snapshot = await this.driver.get(this.#snapshotId);
    if (snapshot !== undefined) {
      readDocument(snapshot.id, JSON.stringify(Snapshot.toJSON(snapshot)));
      Snapshot.decode(Snapshot.encode(snapshot).finish());
    }
    if (this.defect !== undefined) throw this.defect;
  }

  async close(): Promise<void> {
    await this.driver.end();
    await this.#store.close();
  }
}
