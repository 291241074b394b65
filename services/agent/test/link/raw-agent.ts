import { connect, type Socket } from "node:net";
import { until } from "@cutline/h2/testing";
import { LinkHello, LinkRefusal, LinkWelcome } from "@cutline/proto/link";
import { linkProtocolVersion } from "@cutline/protocol";
import { encodeFrameHeader, FrameDecoder, FrameType } from "../../src/dataplane/link/codec.ts";
import type { TestProcess } from "../dataplane/processes.ts";

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly number: number;
  readonly callId: number;
  readonly payload: Buffer;
}

/** A peer on a link that says whatever the test wants. */
export interface RawAgent {
  readonly socket: Socket;
  readonly frames: SeenFrame[];
  readonly closed: () => boolean;
  send(type: number, number: number, callId: number, payload?: Uint8Array, flags?: number): void;
  write(bytes: Uint8Array): void;
  /** Waits for the first frame of this type. */
  first(type: number): Promise<SeenFrame>;
  destroy(): void;
}

export function dialRaw(address: string): RawAgent {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), noDelay: true });
  const frames: SeenFrame[] = [];
  let closed = false;
  const decoder = new FrameDecoder({
    onFrame: (type, flags, number, callId, payload) => frames.push({ type, flags, number, callId, payload }),
  });
  socket.on("data", (chunk: Buffer) => decoder.feed(chunk));
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  return {
    socket,
    frames,
    closed: () => closed,
    send(type, number, callId, payload = Buffer.alloc(0), flags = 0) {
      socket.write(
        Buffer.concat([encodeFrameHeader(type as FrameType, flags, number, callId, payload.length), payload]),
      );
    },
    write: (bytes) => socket.write(bytes),
    async first(type) {
      await until(`a frame of type ${type} came`, () => frames.some((frame) => frame.type === type) || closed);
      const frame = frames.find((each) => each.type === type);
      if (frame === undefined) throw new Error(`the connection closed before a frame of type ${type} came`);
      return frame;
    },
    destroy: () => socket.destroy(),
  };
}

let connections = 0;

export function helloTo(process: TestProcess, changes: Partial<LinkHello> = {}): Buffer {
  connections += 1;
  const hello: LinkHello = {
    connection: connections,
    giveUp: false,
    protocolVersion: linkProtocolVersion,
    linkId: "raw-link",
    processId: "bank/raw",
    incarnation: "1",
    peerProcessId: process.id,
    peerIncarnation: process.incarnation,
    resume: false,
    receivedThrough: 0,
    ...changes,
  };
  return Buffer.from(LinkHello.encode(hello).finish());
}

/** A raw peer whose link is up. */
export async function linkRaw(process: TestProcess, changes: Partial<LinkHello> = {}): Promise<RawAgent> {
  const raw = dialRaw(process.linkAddress);
  raw.send(FrameType.hello, 0, 0, helloTo(process, changes));
  LinkWelcome.decode((await raw.first(FrameType.welcome)).payload);
  return raw;
}

export async function refusalOf(raw: RawAgent): Promise<LinkRefusal> {
  return LinkRefusal.decode((await raw.first(FrameType.refusal)).payload);
}
