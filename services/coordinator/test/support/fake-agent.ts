import { createHash, randomUUID } from "node:crypto";
import {
  type AgentHello,
  type AgentMessage,
  type ChannelReport,
  ControlClient,
  type CoordinatorMessage,
  type CutReport,
  type UploadRequest,
  type UploadResponse,
} from "@cutline/proto/control";
import type { SnapshotRef } from "@cutline/proto/snapshot";
import { type ChannelCredentials, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";

type Body<Case extends string> = Extract<NonNullable<CoordinatorMessage["body"]>, { $case: Case }>["value"];

const waitMs = 60_000;

/** An agent that speaks Attach and Upload as its test tells it to. */
export class FakeAgent {
  readonly processId: string;
  readonly incarnation: string;
  readonly received: NonNullable<CoordinatorMessage["body"]>[] = [];
  ended: ServiceError | undefined;
  readonly #client: ControlClient;
  #stream: ClientDuplexStream<AgentMessage, CoordinatorMessage> | undefined;
  #heartbeats: NodeJS.Timeout | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(
    address: string,
    processId: string,
    incarnation: string = randomUUID(),
    channelCredentials: ChannelCredentials = credentials.createInsecure(),
  ) {
    this.processId = processId;
    this.incarnation = incarnation;
    this.#client = new ControlClient(address, channelCredentials, { "grpc.enable_retries": 0 });
  }

  /** Attaches and waits for the welcome. */
  async attach(hello: Partial<AgentHello> = {}): Promise<Body<"welcome">> {
    this.open(hello);
    const welcomes = this.received.filter(({ $case }) => $case === "welcome").length;
    await this.#until("welcome", () => this.received.filter(({ $case }) => $case === "welcome").length > welcomes);
    return this.#last("welcome");
  }

  /** Attaches and waits for nothing. */
  open(hello: Partial<AgentHello> = {}): void {
    this.ended = undefined;
    const stream = this.#client.attach();
    this.#stream = stream;
    stream.on("data", ({ body }: CoordinatorMessage) => {
      if (body !== undefined) this.received.push(body);
      this.#changed();
    });
    stream.on("error", (error: ServiceError) => {
      if (this.#stream === stream) this.ended = error;
      this.#changed();
    });
    this.say({ $case: "hello", value: { ...this.hello(), ...hello } });
    clearInterval(this.#heartbeats);
    this.#heartbeats = setInterval(() => this.say({ $case: "heartbeat", value: {} }), 50);
  }

  hello(): AgentHello {
    return {
      protocolVersion: 1,
      processId: this.processId,
      incarnation: this.incarnation,
      agentVersion: "0.1.0",
      linkAddress: "127.0.0.1:1",
      authorities: [`${this.processId.split("/")[1]}:50051`],
      captureSource: "participant",
      labels: {},
      openSnapshots: [],
    };
  }

  say(body: NonNullable<AgentMessage["body"]>): void {
    this.#stream?.write({ body });
  }

  /** The stream breaks, the process lives. */
  breakStream(): void {
    clearInterval(this.#heartbeats);
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }

  /** Takes nothing more from the network, and goes on saying that it lives. */
  stopReading(): void {
    this.#stream?.pause();
  }

  close(): void {
    this.breakStream();
    this.#client.close();
  }

  /** The newest start of a snapshot other than those in `known`. */
  async started(known: readonly SnapshotRef[] = []): Promise<SnapshotRef> {
    const find = () => {
      const refs = this.received.flatMap((body) => {
        if (body.$case === "start") return body.value.ref ?? [];
        return body.$case === "welcome" ? body.value.running.flatMap(({ ref }) => ref ?? []) : [];
      });
      return refs.findLast(
        (ref) => !known.some(({ snapshotId, attempt }) => ref.snapshotId === snapshotId && ref.attempt === attempt),
      );
    };
    await this.#until("start of a snapshot", () => find() !== undefined);
    return find() ?? { snapshotId: "", attempt: 0 };
  }

  async endOf(snapshotId: string): Promise<Body<"end">> {
    const find = () =>
      this.received.findLast((body) => body.$case === "end" && body.value.ref?.snapshotId === snapshotId);
    await this.#until(`end of ${snapshotId}`, () => find() !== undefined);
    return this.#last("end");
  }

  /** Waits until the newest directory lists exactly these. */
  async directoryOf(...processIds: string[]): Promise<void> {
    const wanted = [...processIds].sort().join();
    await this.#until(`directory of ${wanted}`, () => {
      const newest = this.received.findLast((body) => body.$case === "directory");
      if (newest?.$case !== "directory") return false;
      const listed = newest.value.processes.map(({ processId }) => processId);
      return listed.sort().join() === wanted;
    });
  }

  async end(): Promise<ServiceError> {
    await this.#until("end of the stream", () => this.ended !== undefined);
    if (this.ended === undefined) throw new Error("unreachable");
    return this.ended;
  }

  cut(ref: SnapshotRef, report: Partial<CutReport> = {}): void {
    this.say({
      $case: "cut",
      value: {
        ref,
        exact: true,
        reasons: [],
        pauseUs: 1_500,
        lockWaitUs: 100,
        epoch: 1,
        outgoing: [],
        incoming: [],
        environment: [],
        callsInProcess: 0,
        trigger: "start",
        ...report,
      },
    });
  }

  channel(ref: SnapshotRef, report: Partial<ChannelReport> & Pick<ChannelReport, "channelId" | "from">): void {
    this.say({
      $case: "channel",
      value: {
        ref,
        markerNumber: 1,
        markersReceived: 0,
        markersReceivedSum: 0,
        deliveredAtCut: 0,
        deliveredSum: 0,
        deliveredMax: 0,
        recorded: [],
        recordedCount: 0,
        messages: 0,
        ...report,
      },
    });
  }

  local(ref: SnapshotRef, state: string): Promise<UploadResponse> {
    return this.upload(ref, "local", Buffer.from(state));
  }

  upload(
    ref: SnapshotRef,
    kind: string,
    bytes: Buffer,
    options: { channelId?: string; sha256?: string; incarnation?: string; chunkBytes?: number } = {},
  ): Promise<UploadResponse> {
    return new Promise((resolve, reject) => {
      const call = this.#client.upload((error, response) => (error === null ? resolve(response) : reject(error)));
      call.on("error", () => undefined); // The callback above tells of it.
      const send = (body: NonNullable<UploadRequest["body"]>) => call.write({ body });
      const { processId } = this;
      const { channelId = "", incarnation = this.incarnation, chunkBytes = 64 * 1024 } = options;
      const contentType = "application/octet-stream";
      send({ $case: "header", value: { ref, processId, incarnation, kind, channelId, contentType } });
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        send({ $case: "chunk", value: bytes.subarray(at, at + chunkBytes) });
      }
      const sha256 = options.sha256 ?? createHash("sha256").update(bytes).digest("hex");
      send({ $case: "end", value: { sizeBytes: bytes.length, sha256 } });
      call.end();
    });
  }

  /** An upload that has begun and stands still until the test goes on with it. */
  openUpload(ref: SnapshotRef, kind: string, firstChunk: Buffer) {
    const answer = Promise.withResolvers<UploadResponse>();
    const call = this.#client.upload((error, response) =>
      error === null ? answer.resolve(response) : answer.reject(error),
    );
    call.on("error", () => undefined); // The callback above tells of it.
    const { processId, incarnation } = this;
    const header = { ref, processId, incarnation, kind, channelId: "", contentType: "text/plain" };
    call.write({ body: { $case: "header", value: header } });
    call.write({ body: { $case: "chunk", value: firstChunk } });
    return { answer: answer.promise, cancel: () => call.cancel() };
  }

  #last<Case extends NonNullable<CoordinatorMessage["body"]>["$case"]>($case: Case): Body<Case> {
    const body = this.received.findLast((one) => one.$case === $case);
    if (body === undefined) throw new Error(`${this.processId} has received no ${$case}`);
    return body.value as Body<Case>;
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #until(what: string, holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(watch);
        const ended = this.ended === undefined ? "" : `; its stream ended with ${this.ended.message}`;
        reject(new Error(`${this.processId} waited ${waitMs} ms for: ${what}${ended}`));
      }, waitMs);
      const watch = () => {
        if (!holds()) return;
        clearTimeout(timer);
        this.#watchers.delete(watch);
        resolve();
      };
      this.#watchers.add(watch);
      watch();
    });
  }
}
