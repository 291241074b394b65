import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import {
  type AgentHello,
  type AgentMessage,
  type ControlServer,
  ControlService,
  type CoordinatorMessage,
  type UploadHeader,
  type UploadRequest,
  type UploadResponse,
  type Welcome,
} from "@cutline/proto/control";
import { Server, ServerCredentials, type ServerDuplexStream, type ServerReadableStream, status } from "@grpc/grpc-js";

export type UpBody = NonNullable<AgentMessage["body"]>;
export type DownBody = NonNullable<CoordinatorMessage["body"]>;

export interface ReceivedPart {
  readonly header: UploadHeader;
  readonly bytes: Buffer;
  readonly chunkSizes: readonly number[];
}

export interface Refusal {
  readonly code: status;
  readonly details: string;
}

/** What a test makes of the coordinator; all of it may be changed while it runs. */
export interface Behaviour {
  onHello: (hello: AgentHello) => Partial<Welcome> | Refusal | "silence";
  heartbeats: boolean;
  readsMessages: boolean;
  /** Called with the number of the try of this very part, from 1. */
  onUpload: (header: UploadHeader, tryNumber: number) => "store" | "hang" | Refusal;
  onChunk: (receivedBytes: number) => void;
  closesStreams: boolean;
}

/** A small coordinator: the protocol's other end, real gRPC on a real port. */
export class TestCoordinator {
  readonly behaviour: Behaviour = {
    onHello: () => ({}),
    heartbeats: true,
    readsMessages: true,
    onUpload: () => "store",
    onChunk: () => {},
    closesStreams: true,
  };
  readonly hellos: { readonly hello: AgentHello; readonly atMs: number }[] = [];
  /** All but hellos and heartbeats. */
  readonly received: UpBody[] = [];
  readonly stored: ReceivedPart[] = [];
  readonly tries: UploadHeader[] = [];
  heartbeatsReceived = 0;
  uploadsOpen = 0;
  uploadsOpenMax = 0;
  readonly #streams = new Set<ServerDuplexStream<AgentMessage, CoordinatorMessage>>();
  #server: Server | undefined;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #port = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get attached(): number {
    return this.#streams.size;
  }

  /** Started again, it has the same address. */
  async start(credentials = ServerCredentials.createInsecure()): Promise<void> {
    // With channelz: without it, grpc-js 1.14 does not know its connections, and forceShutdown() leaves them open.
    const server = new Server();
    const handlers: ControlServer = {
      attach: (call) => this.#attach(call),
      upload: (call, callback) => {
        this.uploadsOpen += 1;
        this.uploadsOpenMax = Math.max(this.uploadsOpenMax, this.uploadsOpen);
        let counted = true;
        const ended = () => {
          if (counted) this.uploadsOpen -= 1;
          counted = false;
        };
        call.on("cancelled", () => {
          ended();
          call.destroy();
        });
        this.#receivePart(call).then(
          (response) => {
            ended();
            callback(null, response);
          },
          (error: Error | { refusal: Refusal }) => {
            ended();
            callback("refusal" in error ? error.refusal : { code: status.CANCELLED, details: error.message });
          },
        );
      },
    };
    server.addService(ControlService, handlers);
    this.#port = await new Promise((resolve, reject) => {
      server.bindAsync(this.address, credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
    this.#server = server;
    this.#heartbeatTimer = setInterval(() => {
      if (this.behaviour.heartbeats) this.say({ $case: "heartbeat", value: {} });
    }, 20);
  }

  /** As a crash does: connections break in the middle of whatever they carry. */
  crash(): void {
    clearInterval(this.#heartbeatTimer);
    this.#streams.clear();
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  say(body: DownBody): void {
    for (const stream of this.#streams) stream.write({ body });
  }

  closeStreams(): void {
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  #attach(call: ServerDuplexStream<AgentMessage, CoordinatorMessage>): void {
    const over = () => this.#streams.delete(call);
    call.on("data", ({ body }: AgentMessage) => {
      if (body === undefined) return;
      if (body.$case === "heartbeat") this.heartbeatsReceived += 1;
      else if (body.$case === "hello") this.#greet(call, body.value);
      else this.received.push(body);
      if (body.$case === "leaving") {
        over();
        call.end();
      }
    });
    call.on("cancelled", over);
    call.on("error", over);
    call.on("end", () => {
      over();
      if (this.behaviour.closesStreams) call.end();
    });
  }

  #greet(call: ServerDuplexStream<AgentMessage, CoordinatorMessage>, hello: AgentHello): void {
    this.hellos.push({ hello, atMs: performance.now() });
    const answer = this.behaviour.onHello(hello);
    if (answer === "silence") return;
    if ("code" in answer) {
      call.emit("error", answer);
      return;
    }
    const value: Welcome = { term: 1, heartbeatMs: 20, directory: undefined, running: [], ...answer };
    call.write({ body: { $case: "welcome", value } });
    this.#streams.add(call);
    if (!this.behaviour.readsMessages) call.pause();
  }

  async #receivePart(call: ServerReadableStream<UploadRequest, UploadResponse>): Promise<UploadResponse> {
    const chunks: Buffer[] = [];
    let header: UploadHeader | undefined;
    let receivedBytes = 0;
    for await (const { body } of call as AsyncIterable<UploadRequest>) {
      if (body?.$case === "header") {
        header = body.value;
        this.tries.push(header);
        const answer = this.behaviour.onUpload(header, this.#triesOf(header));
        if (answer === "hang")
          return await new Promise((_, reject) => call.on("close", () => reject(new Error("closed"))));
        if (answer !== "store") throw { refusal: answer };
      } else if (body?.$case === "chunk") {
        chunks.push(body.value);
        receivedBytes += body.value.length;
        this.behaviour.onChunk(receivedBytes);
        // A store takes its time: the network gets ahead of it, unless it is held back.
        await turn();
      } else if (body?.$case === "end") {
        const bytes = Buffer.concat(chunks);
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        if (header === undefined || body.value.sha256 !== sha256 || body.value.sizeBytes !== bytes.length) {
          throw { refusal: { code: status.DATA_LOSS, details: "other bytes arrived" } };
        }
        this.stored.push({ header, bytes, chunkSizes: chunks.map(({ length }) => length) });
        return { sizeBytes: bytes.length, sha256 };
      }
    }
    throw { refusal: { code: status.INVALID_ARGUMENT, details: "the upload stopped before its end" } };
  }

  #triesOf(header: UploadHeader): number {
    const key = keyOf(header);
    return this.tries.filter((one) => keyOf(one) === key).length;
  }
}

function keyOf({ ref, kind, channelId }: UploadHeader): string {
  return `${ref?.snapshotId}/${ref?.attempt} ${kind} ${channelId}`;
}
