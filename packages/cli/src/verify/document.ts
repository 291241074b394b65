import { Snapshot } from "@cutline/proto/snapshot";
import { CliError, exitCodes, messageOf } from "../errors.ts";
import { arrayOf, asRecord, numberOf, stringOf } from "../json.ts";
import { readLines } from "./lines.ts";
import type { VerifyReport } from "./report.ts";
import { Verifier } from "./verifier.ts";

const stateFormat = "cutline.v1.GlobalState";

/**
 * The longest JSON document, and the longest line of NDJSON, that is read: V8 holds no string above 512 MiB. NDJSON as
 * a whole has no limit.
 */
const documentBytesMax = 500 * 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

/**
 * Checks a global state in either form, the JSON document or NDJSON (told apart by the first line). Rejects with a
 * CliError when it is none: `verify` can only judge what it can read.
 */
export async function verifyGlobalState(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number = documentBytesMax,
): Promise<VerifyReport> {
  const lines = readLines(chunks, bytesMax, tooLarge);
  const first = await nextText(lines);
  if (first === undefined) throw notAState("it is empty");
  const head = parseLine(first);
  if (head?.type === "snapshot") return verifyLines(head, lines);
  return verifyDocument(head ?? parseWhole(await restOf(first, lines, bytesMax)));
}

function verifyDocument(document: Json): VerifyReport {
  const verifier = new Verifier(manifestOf(document));
  for (const name of ["processes", "channels"]) {
    if (!Array.isArray(document[name])) verifier.malformed("DocumentTorn", `the document has no ${name}`);
  }
  for (const entry of arrayOf(document.processes)) {
    const process = asRecord(entry) ?? {};
    verifier.process({ id: stringOf(process.id), incarnation: stringOf(process.incarnation) });
    verifier.stateBytes(decode(verifier, process));
    for (const _call of arrayOf(process.callsInProcess)) verifier.call();
  }
  for (const entry of arrayOf(document.channels)) {
    const channel = asRecord(entry) ?? {};
    verifier.channel({ id: stringOf(channel.id), from: stringOf(channel.from), to: stringOf(channel.to) });
    for (const frame of arrayOf(channel.frames)) seeFrame(verifier, asRecord(frame) ?? {});
  }
  return verifier.end();
}

async function verifyLines(head: Json, lines: AsyncGenerator<Buffer>): Promise<VerifyReport> {
  const verifier = new Verifier(manifestOf(head));
  let ended = false;
  let number = 1;
  /** What the pieces that follow belong to. */
  let process: string | undefined;
  let channel: string | undefined;
  for await (const bytes of lines) {
    number += 1;
    const text = bytes.toString("utf8");
    if (text.trim() === "") continue;
    const line = parseLine(text);
    if (ended) verifier.malformed("LineAfterEnd", `line ${number} stands behind the end`);
    if (line === undefined) {
      verifier.malformed("DocumentTorn", `line ${number} is no JSON object`);
      continue;
    }
    const belongs = (name: "process" | "channel", open: string | undefined) => {
      if (line[name] === open) return;
      verifier.malformed(
        "LineMisplaced",
        `line ${number} belongs to the ${name} ${stringOf(line[name])}, but stands under ${open ?? "none"}`,
      );
    };
    switch (line.type) {
      case "process":
        process = stringOf(line.id);
        channel = undefined;
        verifier.process({ id: process, incarnation: stringOf(line.incarnation) });
        break;
      case "chunk":
        belongs("process", process);
        verifier.stateBytes(decode(verifier, line));
        break;
      case "callInProcess":
        belongs("process", process);
        verifier.call();
        break;
      case "channel":
        channel = stringOf(line.id);
        process = undefined;
        verifier.channel({ id: channel, from: stringOf(line.from), to: stringOf(line.to) });
        break;
      case "frame":
        belongs("channel", channel);
        seeFrame(verifier, line);
        break;
      case "message":
        break;
      case "end":
        ended = true;
        break;
      default:
        verifier.malformed("LineUnknown", `line ${number} has the unknown type "${stringOf(line.type)}"`);
    }
  }
  if (!ended)
    verifier.malformed("DocumentTorn", "the last line is not the end: the state was not downloaded to its end");
  return verifier.end();
}

function seeFrame(verifier: Verifier, frame: Json): void {
  verifier.frame({ number: numberOf(frame.number), source: stringOf(frame.source) });
}

function decode(verifier: Verifier, holder: Json): Uint8Array {
  const data = stringOf(holder.data);
  if (holder.encoding === "utf8") return Buffer.from(data, "utf8");
  if (holder.encoding === "base64") return Buffer.from(data, "base64");
  const name = stringOf(holder.id) || stringOf(holder.process);
  if (data !== "") {
    verifier.malformed(
      "EncodingUnknown",
      `process ${name} has data in the unknown encoding "${stringOf(holder.encoding)}"`,
    );
  }
  return Buffer.alloc(0);
}

function manifestOf(document: Json): Snapshot {
  if (document.format !== stateFormat) {
    const format = typeof document.format === "string" ? `its format is "${document.format}"` : "it names no format";
    throw notAState(`${format}, not ${stateFormat}`);
  }
  if (asRecord(document.snapshot) === undefined) throw notAState("it has no manifest");
  try {
    return Snapshot.fromJSON(document.snapshot);
  } catch (error) {
    throw notAState(`its manifest cannot be read: ${messageOf(error)}`);
  }
}

async function nextText(lines: AsyncGenerator<Buffer>): Promise<string | undefined> {
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    const text = next.value.toString("utf8");
    if (text.trim() !== "") return text;
  }
  return undefined;
}

async function restOf(first: string, lines: AsyncGenerator<Buffer>, bytesMax: number): Promise<string> {
  const parts = [first];
  let bytes = first.length;
  for await (const line of lines) {
    bytes += line.length + 1;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    parts.push(line.toString("utf8"));
  }
  return parts.join("\n");
}

function parseLine(text: string): Json | undefined {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    // A document over many lines, or a torn one: the caller finds out which.
    return undefined;
  }
}

function parseWhole(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw notAState(`it is not JSON (${messageOf(error)}); it may have been cut off: download it again`);
  }
  const document = asRecord(value);
  if (document === undefined) throw notAState("it is no JSON object");
  return document;
}

function notAState(why: string): CliError {
  return new CliError("NotAGlobalState", exitCodes.failed, `this is no global state: ${why}`);
}

function tooLarge(bytesMax: number): CliError {
  return new CliError(
    "DocumentTooLarge",
    exitCodes.usage,
    `the JSON document is longer than ${bytesMax} bytes: download the state with --ndjson, which verify reads at any size`,
  );
}
