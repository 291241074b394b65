import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type CapturePoint, type NumberSet, ParticipantClient } from "@cutline/proto/participant";
import * as grpc from "@grpc/grpc-js";

/** The one message of the test service: small, and JSON on the wire. */
export interface Note {
  readonly text?: string;
  readonly amount?: number;
}

const toBytes = (value: Note): Buffer => Buffer.from(JSON.stringify(value));
const fromBytes = (bytes: Buffer): Note => JSON.parse(bytes.toString()) as Note;

const method = <Name extends string, Q extends boolean, S extends boolean>(
  name: Name,
  requestStream: Q,
  responseStream: S,
) => ({
  path: `/test.Bank/${name}` as const,
  requestStream,
  responseStream,
  requestSerialize: toBytes,
  requestDeserialize: fromBytes,
  responseSerialize: toBytes,
  responseDeserialize: fromBytes,
});

const bankService = {
  pay: method("Pay", false, false),
  collect: method("Collect", true, false),
  list: method("List", false, true),
  chat: method("Chat", true, true),
} as const;

export interface Bank {
  pay?: grpc.handleUnaryCall<Note, Note>;
  collect?: grpc.handleClientStreamingCall<Note, Note>;
  list?: grpc.handleServerStreamingCall<Note, Note>;
  chat?: grpc.handleBidiStreamingCall<Note, Note>;
}

type Answer = (error: grpc.ServiceError | null, value: Note) => void;

export interface BankClient extends grpc.Client {
  pay(note: Note, answer: Answer): grpc.ClientUnaryCall;
  pay(note: Note, metadata: grpc.Metadata, answer: Answer): grpc.ClientUnaryCall;
  pay(note: Note, options: grpc.CallOptions, answer: Answer): grpc.ClientUnaryCall;
  pay(note: Note, metadata: grpc.Metadata, options: grpc.CallOptions, answer: Answer): grpc.ClientUnaryCall;
  collect(answer: Answer): grpc.ClientWritableStream<Note>;
  collect(metadata: grpc.Metadata, answer: Answer): grpc.ClientWritableStream<Note>;
  collect(options: grpc.CallOptions, answer: Answer): grpc.ClientWritableStream<Note>;
  list(note: Note, metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<Note>;
  chat(metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<Note, Note>;
}

export const BankClient = grpc.makeGenericClientConstructor(bankService, "test.Bank") as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => BankClient;

/** Serves `bank` on a free port until the test ends. */
export async function serve(t: TestContext, server: grpc.Server, bank: Bank): Promise<string> {
  server.addService(bankService, bank as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  t.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

export function connect(t: TestContext, address: string, options: grpc.ClientOptions = {}): BankClient {
  const client = new BankClient(address, grpc.credentials.createInsecure(), options);
  t.after(() => client.close());
  return client;
}

export function pay(client: BankClient, note: Note, metadata = new grpc.Metadata()): Promise<Note> {
  return new Promise((resolve, reject) => {
    client.pay(note, metadata, (error, value) => (error === null ? resolve(value) : reject(error)));
  });
}

export function withId(id: number): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("cutline-call-id", String(id));
  metadata.set("cutline-epoch", "77");
  return metadata;
}

export interface Taken {
  readonly point: CapturePoint & { incomingBegun: NumberSet };
  readonly state: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly chunkBytes: readonly number[];
}

/** The agent's side of the contract. */
export class Agent {
  readonly client: ParticipantClient;

  private constructor(client: ParticipantClient) {
    this.client = client;
  }

  static connect(t: TestContext, address: string): Agent {
    const agent = new Agent(new ParticipantClient(address, grpc.credentials.createInsecure()));
    t.after(() => agent.client.close());
    return agent;
  }

  static async greet(t: TestContext, address: string, firstCallId = 1, agentIncarnation = "one"): Promise<Agent> {
    const agent = Agent.connect(t, address);
    await agent.hello(firstCallId, agentIncarnation);
    return agent;
  }

  hello(firstCallId: number, agentIncarnation: string, protocolVersion = 1) {
    return new Promise<{ epoch: number; instance: string; sdk: string }>((resolve, reject) => {
      this.client.hello({ protocolVersion, agentIncarnation, firstCallId }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }

  /** Answers with those that are still open. */
  settle(callIds: readonly number[]): Promise<number[]> {
    return new Promise((resolve, reject) => {
      this.client.settle({ callIds: [...callIds] }, (error, answer) =>
        error === null ? resolve(answer.stillOpen) : reject(error),
      );
    });
  }

  async capture({ deadlineMs = 10_000, stateBytesMax = 0 } = {}): Promise<Taken> {
    const call = this.client.capture({ snapshotId: "s", attempt: 1, deadlineMs, stateBytesMax });
    let point: CapturePoint | undefined;
    let end: { sizeBytes: number; sha256: string } | undefined;
    const chunks: Buffer[] = [];
    for await (const { body } of call) {
      assert.ok(body);
      if (body.$case === "point") {
        assert.equal(point, undefined);
        point = body.value;
      } else if (body.$case === "stateChunk") chunks.push(body.value);
      else end = body.value;
    }
    assert.ok(point !== undefined && end !== undefined, "a capture has a point and an end");
    const state = Buffer.concat(chunks).toString();
    assert.ok(point.incomingBegun);
    return {
      point: { ...point, incomingBegun: point.incomingBegun },
      state,
      ...end,
      chunkBytes: chunks.map((chunk) => chunk.byteLength),
    };
  }
}

/** A promise that the test settles. */
export function gate<Value = void>() {
  return Promise.withResolvers<Value>();
}

/** Resolves when `condition` holds; looks again after every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** The next timer turn: a real wait, which no promise reaction can bridge. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** The status, also of a call that fails: `events.once` would reject with its error. */
export function statusOf(call: grpc.ClientUnaryCall): Promise<grpc.StatusObject> {
  return new Promise((resolve) => {
    call.once("status", resolve);
  });
}
