import { Flag, FrameType } from "../../src/frames/constants.ts";
import { block, frame, integer, settingId, text, uint32, wire } from "../support/wire.ts";
import type { Rule, Section } from "./rule.ts";

const { headers, data, settings, reset, windowUpdate, priority, continuation } = wire;

const status = (code: string, ...more: string[]) => [":status", code, ...more];
const ok = headers(1, status("200"));
const complete = headers(1, status("200"), { endStream: true });
const half = block(status("200")).subarray(0, 5);
const begun = headers(1, half, { endHeaders: false });
const malformed = "rst 1 protocolError";

/** An answer that must not reach the application. The call is reset for its owner. */
function bad(name: string, fields: readonly string[], node?: string, because?: string): Rule {
  return {
    name,
    send: [headers(1, fields)],
    lean: malformed,
    events: ["reset 1 peer"],
    ...(node === undefined ? {} : { node }),
    ...(because === undefined ? {} : { because }),
  };
}

function broken(name: string, octets: Uint8Array): Rule {
  return { name, send: [headers(1, octets)], lean: "goaway compressionError", events: ["reset 8 connection"] };
}

/** Rules of RFC 9113 and RFC 7541 that a server can break. The client has one call open on stream 1. */
export const clientRules: readonly Section[] = [
  {
    title: "3.4 preface and 4 frames",
    rules: [
      {
        name: "HTTP/1.1 instead",
        greeting: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
        send: [],
        lean: "goaway protocolError",
      },
      { name: "PING before SETTINGS", greeting: wire.ping("x"), send: [], lean: "goaway protocolError" },
      { name: "an unknown type", send: [frame(0xbe, 0xff, 0, [1, 2, 3])], lean: "ok" },
      {
        name: "DATA of 16,385",
        send: [ok, data(1, Buffer.alloc(16_385))],
        lean: "goaway frameSizeError",
        events: ["headers", "reset 8 connection"],
      },
      { name: "PING inside a header block", send: [begun, wire.ping("x")], lean: "goaway protocolError" },
      { name: "CONTINUATION of another stream", send: [begun, continuation(3, half)], lean: "goaway protocolError" },
      {
        name: "CONTINUATION",
        send: [begun, continuation(1, block(status("200")).subarray(5))],
        lean: "ok",
        events: ["headers"],
      },
    ],
  },
  {
    title: "5.1 states of a stream",
    rules: [
      { name: "DATA where there is no stream", send: [data(3, "x")], lean: "goaway protocolError" },
      { name: "HEADERS where there is no stream", send: [headers(3, status("200"))], lean: "goaway protocolError" },
      { name: "HEADERS on one of the server's", send: [headers(2, status("200"))], lean: "goaway protocolError" },
      { name: "RST_STREAM where there is no stream", send: [reset(3, 8)], lean: "goaway protocolError" },
      { name: "WINDOW_UPDATE where there is no stream", send: [windowUpdate(3, 1)], lean: "goaway protocolError" },
      { name: "PRIORITY where there is no stream", send: [priority(3)], lean: "ok" },
      {
        name: "DATA before an answer",
        send: [data(1, "x")],
        lean: malformed,
        node: "goaway protocolError",
        because: "nghttp2 ends the connection where a reset would do",
        events: ["reset 1 peer"],
      },
      {
        name: "everything after we have reset it",
        send: [
          headers(1, ["A", "b"]),
          "settle",
          data(1, "x"),
          headers(1, status("200")),
          windowUpdate(1, 1),
          reset(1, 8),
        ],
        lean: malformed,
      },
      {
        name: "DATA after a complete answer",
        send: [complete, "settle", data(1, "x")],
        lean: "rst 1 noError",
        events: ["headers+end"],
      },
      {
        name: "HEADERS after RST_STREAM",
        send: [reset(1, 8), headers(1, status("200"))],
        lean: "goaway streamClosed",
        node: "ok",
        because: "nghttp2 passes it over",
        events: ["reset 8 peer"],
      },
      {
        name: "DATA after RST_STREAM",
        send: [reset(1, 8), data(1, "x")],
        lean: "rst 1 streamClosed",
        node: "ok",
        because: "nghttp2 passes it over",
      },
    ],
  },
  {
    title: "6 frames of each type",
    rules: [
      { name: "DATA on no stream", send: [data(0, "x")], lean: "goaway protocolError" },
      {
        name: "padding as long as the frame",
        send: [ok, frame(FrameType.data, Flag.padded, 1, [3, 1, 2])],
        lean: "goaway protocolError",
      },
      { name: "HEADERS on no stream", send: [headers(0, status("200"))], lean: "goaway protocolError" },
      {
        name: "RST_STREAM of 3 octets",
        send: [frame(FrameType.rstStream, 0, 1, [0, 0, 0])],
        lean: "goaway frameSizeError",
      },
      { name: "SETTINGS on a stream", send: [frame(FrameType.settings, 0, 1)], lean: "goaway protocolError" },
      {
        name: "SETTINGS of 5 octets",
        send: [frame(FrameType.settings, 0, 0, Buffer.alloc(5))],
        lean: "goaway frameSizeError",
      },
      { name: "ENABLE_PUSH 1", send: [settings([settingId.enablePush, 1])], lean: "goaway protocolError" },
      { name: "ENABLE_PUSH 0", send: [settings([settingId.enablePush, 0])], lean: "ok" },
      {
        name: "INITIAL_WINDOW_SIZE 2^31",
        send: [settings([settingId.initialWindowSize, 2 ** 31])],
        lean: "goaway flowControlError",
      },
      {
        name: "MAX_FRAME_SIZE 16,383",
        send: [settings([settingId.maxFrameSize, 16_383])],
        lean: "goaway protocolError",
      },
      {
        name: "MAX_CONCURRENT_STREAMS 0 behind the call",
        send: [settings([settingId.maxConcurrentStreams, 0])],
        lean: "ok",
        events: [],
      },
      {
        name: "PUSH_PROMISE",
        send: [frame(FrameType.pushPromise, Flag.endHeaders, 1, Buffer.concat([uint32(2), block([":method", "GET"])]))],
        lean: "goaway protocolError",
        node: "rst 2 cancel",
        because: "nghttp2 goes by SETTINGS that have been acknowledged, and this server has acknowledged nothing",
        events: ["reset 8 connection"],
      },
      { name: "PING on a stream", send: [frame(FrameType.ping, 0, 1, Buffer.alloc(8))], lean: "goaway protocolError" },
      {
        name: "GOAWAY of 7 octets",
        send: [frame(FrameType.goaway, 0, 0, Buffer.alloc(7))],
        lean: "goaway frameSizeError",
      },
      {
        name: "an increment of 0 for the stream",
        send: [windowUpdate(1, 0)],
        lean: malformed,
        node: "goaway protocolError",
        because: "nghttp2 ends the connection where a reset would do",
      },
      { name: "an increment of 0 for the connection", send: [windowUpdate(0, 0)], lean: "goaway protocolError" },
      {
        name: "a stream's window of 2^31",
        send: [windowUpdate(1, 0x7fff_ffff)],
        lean: "rst 1 flowControlError",
        node: "goaway flowControlError",
        because: "nghttp2 ends the connection where a reset would do",
      },
      {
        name: "the connection's window of 2^31",
        send: [windowUpdate(0, 0x7fff_ffff)],
        lean: "goaway flowControlError",
      },
    ],
  },
  {
    title: "8 answers",
    rules: [
      {
        name: "an interim answer, then the final one",
        send: [headers(1, status("103", "link", "x")), ok],
        lean: "ok",
        events: ["headers"],
      },
      {
        name: "an interim answer that ends the stream",
        send: [headers(1, status("100"), { endStream: true })],
        lean: malformed,
        events: ["reset 1 peer"],
      },
      bad("101", status("101")),
      bad("no :status", ["a", "b"]),
      bad("nothing", []),
      bad(":status twice", [":status", "200", ":status", "200"]),
      bad(":status of two digits", status("20")),
      bad(":status that is no number", status("abc")),
      bad(":status behind a header", ["a", "b", ":status", "200"]),
      bad("a pseudo-header of requests", [":status", "200", ":path", "/"]),
      bad("an upper-case name", status("200", "A", "b")),
      bad("a value with a line feed", status("200", "a", "b\nc"), "ok", "nghttp2 drops the header and serves the rest"),
      bad("connection", status("200", "connection", "close")),
      bad("content-length twice, and not the same", status("200", "content-length", "0", "content-length", "1")),
      bad("content-length that is no number", status("200", "content-length", "x")),
      {
        name: "content-length 3 without a body",
        send: [headers(1, status("200", "content-length", "3"), { endStream: true })],
        lean: malformed,
        events: ["reset 1 peer"],
      },
      {
        name: "more than content-length",
        send: [headers(1, status("200", "content-length", "3")), data(1, "abcd")],
        lean: malformed,
        node: "goaway internalError",
        because: "node:http2 ends the connection where a reset would do",
      },
      {
        name: "less than content-length",
        send: [headers(1, status("200", "content-length", "3")), data(1, "ab", true)],
        lean: malformed,
      },
      {
        name: "as much as content-length",
        send: [headers(1, status("200", "content-length", "3")), data(1, "abc")],
        lean: "ok",
        events: ["headers", "data"],
      },
      {
        name: "304 with the content-length of what it does not bring",
        send: [headers(1, status("304", "content-length", "3"), { endStream: true })],
        lean: "rst 1 noError",
        events: ["headers+end"],
      },
      { name: "trailers without END_STREAM", send: [ok, headers(1, ["a", "b"])], lean: malformed },
      {
        name: "a pseudo-header in trailers",
        send: [ok, headers(1, [":status", "200"], { endStream: true })],
        lean: malformed,
      },
      {
        name: "a header list above the limit",
        limits: { headerListBytesMax: 1024 },
        send: [headers(1, status("200", "a", "x".repeat(1000)))],
        lean: "rst 1 enhanceYourCalm",
        node: "ok",
        because: "node:http2 has the limit for the number of headers only",
        events: ["reset 11 peer"],
      },
    ],
  },
  {
    title: "RFC 7541",
    rules: [
      broken("index 0", Buffer.from([0x80])),
      broken("an index that is in no table", Buffer.from([0xff, 0x20])),
      broken("a string longer than the block", Buffer.from([0x00, 0x05, 0x61])),
      broken("a table above what SETTINGS allow", integer(4097, 0x20, 5)),
      broken("a table size behind a header", Buffer.concat([Buffer.from([0x88]), integer(0, 0x20, 5)])),
      broken("Huffman: EOS", Buffer.from([0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00])),
      {
        name: "what was put into the table",
        send: [
          headers(1, Buffer.concat([Buffer.from([0x88, 0x40]), text("a"), text("b")])),
          headers(1, Buffer.from([0xbe]), { endStream: true }),
        ],
        lean: "rst 1 noError",
        events: ["headers", "trailers"],
      },
    ],
  },
];
