import type { ChannelEntry, ProcessEntry } from "@cutline/proto/snapshot";
import type { StateReader } from "./reader.ts";
import type { StateEncoding } from "./text.ts";

export const stateFormat = "cutline.v1.GlobalState";

/** The whole global state as one JSON document, in pieces. */
export async function* documentText(reader: StateReader): AsyncGenerator<string> {
  yield `{"format":${JSON.stringify(stateFormat)},"snapshot":${JSON.stringify(reader.snapshot)},"processes":[`;
  for (const [index, process] of reader.snapshot.processes.entries()) {
    yield* processText(reader, process, index);
  }
  yield `],"channels":[`;
  for (const [index, channel] of reader.snapshot.channels.entries()) {
    yield index === 0 ? "" : ",";
    yield* channelText(reader, channel, channelHead(channel));
  }
  yield "]}";
}

async function* processText(reader: StateReader, process: ProcessEntry, index: number): AsyncGenerator<string> {
  const local = await reader.local(process);
  yield `${index === 0 ? "" : ","}${opened(processHead(process, local.encoding))},"data":"`;
  for await (const piece of local.pieces) {
    yield JSON.stringify(piece).slice(1, -1);
  }
  yield `","callsInProcess":[`;
  yield* elements(reader.calls(process));
  yield "]}";
}

/** One channel with its entry in the certificate, as one JSON document in pieces. */
export function channelDocumentText(reader: StateReader, channel: ChannelEntry): AsyncGenerator<string> {
  return channelText(reader, channel, { ...channelHead(channel), certificate: channel });
}

async function* channelText(reader: StateReader, channel: ChannelEntry, head: object): AsyncGenerator<string> {
  yield `${opened(head)},"frames":[`;
  yield* elements(reader.frames(channel));
  yield `],"messages":[`;
  yield* elements(reader.messages(channel));
  yield "]}";
}

async function* elements(values: AsyncIterable<object>): AsyncGenerator<string> {
  let separator = "";
  for await (const value of values) {
    yield separator + JSON.stringify(value);
    separator = ",";
  }
}

function opened(head: object): string {
  return JSON.stringify(head).slice(0, -1);
}

/** The same as NDJSON: one object a line, each with its `type`; a reader that finds no `end` line holds a torn state. */
export async function* documentLines(reader: StateReader): AsyncGenerator<string> {
  const { snapshot } = reader;
  yield line({ type: "snapshot", format: stateFormat, snapshot });
  for (const process of snapshot.processes) {
    const { encoding, pieces } = await reader.local(process);
    yield line({ type: "process", ...processHead(process, encoding) });
    for await (const data of pieces) {
      yield line({ type: "chunk", process: process.id, encoding, data });
    }
    for await (const call of reader.calls(process)) {
      yield line({ type: "callInProcess", process: process.id, ...call });
    }
  }
  for (const channel of snapshot.channels) {
    yield line({ type: "channel", ...channelHead(channel) });
    for await (const frame of reader.frames(channel)) {
      yield line({ type: "frame", channel: channel.id, ...frame });
    }
    for await (const message of reader.messages(channel)) {
      yield line({ type: "message", channel: channel.id, ...message });
    }
  }
  yield line({ type: "end", processes: snapshot.processes.length, channels: snapshot.channels.length });
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function processHead(process: ProcessEntry, encoding: StateEncoding) {
  const { id, incarnation, stored, contentType } = process;
  return { id, incarnation, stored, contentType, encoding };
}

function channelHead(channel: ChannelEntry) {
  return { id: channel.id, from: channel.from, to: channel.to };
}

/** Few large writes instead of many small ones. */
export async function* batched(pieces: AsyncIterable<string>, batchBytes: number): AsyncGenerator<Buffer> {
  let waiting: string[] = [];
  let waitingChars = 0;
  for await (const piece of pieces) {
    waiting.push(piece);
    waitingChars += piece.length;
    if (waitingChars >= batchBytes) {
      yield Buffer.from(waiting.join(""));
      waiting = [];
      waitingChars = 0;
    }
  }
  if (waitingChars > 0) {
    yield Buffer.from(waiting.join(""));
  }
}
