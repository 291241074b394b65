import { Flag, FrameType } from "../../src/frames/constants.ts";
import { request } from "../support/requests.ts";
import { block, frame, wire } from "../support/wire.ts";
import type { Section } from "./rule.ts";

const { preface, headers, data, reset, windowUpdate, priority, continuation } = wire;

const open = headers(1, request());
const ended = headers(1, request(), { endStream: true });
const done = headers(1, request("/done"), { endStream: true });
const half = block(request()).subarray(0, 10);
const otherHalf = block(request()).subarray(10);
const begun = headers(1, half, { endHeaders: false });
const tooLong = Buffer.alloc(16_385);

/** Rules of RFC 9113, sections 3 to 5, that a client can break: frames, and the states of streams. */
export const serverFrameRules: readonly Section[] = [
  {
    title: "3.4 preface",
    rules: [
      {
        name: "HTTP/1.1 instead",
        greeting: Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        send: [],
        lean: "goaway protocolError",
        node: "goaway internalError",
        because: "node:http2 has one code for what nghttp2 refuses",
      },
      {
        name: "one octet is wrong",
        greeting: Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\rx"),
        send: [],
        lean: "goaway protocolError",
        node: "goaway internalError",
        because: "node:http2 has one code for what nghttp2 refuses",
      },
      {
        name: "PING before SETTINGS",
        greeting: Buffer.concat([preface, wire.ping("x")]),
        send: [],
        lean: "goaway protocolError",
      },
      {
        name: "HEADERS before SETTINGS",
        greeting: Buffer.concat([preface, open]),
        send: [],
        lean: "goaway protocolError",
        calls: 0,
      },
      {
        name: "an acknowledgement before SETTINGS",
        greeting: Buffer.concat([preface, wire.settingsAck]),
        send: [],
        lean: "goaway protocolError",
      },
    ],
  },
  {
    title: "4.1 frames",
    rules: [
      { name: "an unknown type", send: [frame(0xbe, 0xff, 0, [1, 2, 3]), frame(0x16, 0, 7)], lean: "ok" },
      { name: "unknown flags of PING", send: [frame(FrameType.ping, 0xfe, 0, Buffer.alloc(8))], lean: "ok" },
      {
        name: "the reserved bit of a stream",
        send: [frame(FrameType.headers, Flag.endHeaders, 0x8000_0001, block(request())), data(1, "x")],
        lean: "ok",
        calls: 1,
      },
      { name: "the reserved bit of WINDOW_UPDATE", send: [open, windowUpdate(1, 0x8000_0001)], lean: "ok" },
    ],
  },
  {
    title: "4.2 frame size",
    rules: [
      { name: "DATA of 16,384", send: [open, data(1, Buffer.alloc(16_384))], lean: "ok" },
      { name: "DATA of 16,385", send: [open, data(1, tooLong)], lean: "goaway frameSizeError" },
      { name: "HEADERS of 16,385", send: [headers(1, tooLong)], lean: "goaway frameSizeError" },
      {
        name: "SETTINGS of 16,386",
        send: [frame(FrameType.settings, 0, 0, Buffer.alloc(16_386))],
        lean: "goaway frameSizeError",
      },
      { name: "an unknown type of 16,385", send: [frame(0xbe, 0, 0, tooLong)], lean: "goaway frameSizeError" },
      {
        name: "16 MiB, only the head",
        send: [frame(FrameType.data, 0, 1, [], 0xff_ffff)],
        lean: "goaway frameSizeError",
      },
    ],
  },
  {
    title: "4.3 field section",
    rules: [
      { name: "DATA inside", send: [begun, data(1, "x")], lean: "goaway protocolError" },
      { name: "PRIORITY inside", send: [begun, priority(1)], lean: "goaway protocolError" },
      { name: "HEADERS of another stream inside", send: [begun, headers(3, request())], lean: "goaway protocolError" },
      { name: "an unknown type inside", send: [begun, frame(0xbe, 0, 0)], lean: "goaway protocolError" },
      {
        name: "CONTINUATION of another stream",
        send: [begun, continuation(3, otherHalf)],
        lean: "goaway protocolError",
      },
      {
        name: "CONTINUATION of the same",
        send: [begun, continuation(1, otherHalf.subarray(0, 5), false), continuation(1, otherHalf.subarray(5))],
        lean: "ok",
        calls: 1,
      },
      {
        name: "no octet in HEADERS, all in CONTINUATION",
        send: [headers(1, Buffer.alloc(0), { endHeaders: false }), continuation(1, block(request()))],
        lean: "ok",
        calls: 1,
      },
    ],
  },
  {
    title: "5.1 a stream that nobody has opened",
    rules: [
      { name: "DATA", send: [data(1, "x")], lean: "goaway protocolError" },
      { name: "RST_STREAM", send: [reset(1, 8)], lean: "goaway protocolError" },
      { name: "WINDOW_UPDATE", send: [windowUpdate(1, 1)], lean: "goaway protocolError" },
      { name: "CONTINUATION", send: [continuation(1, block(request()))], lean: "goaway protocolError" },
      { name: "PRIORITY", send: [priority(1)], lean: "ok" },
      { name: "DATA on one of the server's", send: [data(2, "x")], lean: "goaway protocolError" },
      { name: "WINDOW_UPDATE on one of the server's", send: [windowUpdate(2, 1)], lean: "goaway protocolError" },
      { name: "RST_STREAM on one of the server's", send: [reset(2, 8)], lean: "goaway protocolError" },
    ],
  },
  {
    title: "5.1 a stream that the client has ended",
    rules: [
      {
        name: "DATA",
        send: [ended, data(1, "x")],
        lean: "rst 1 streamClosed",
        node: "goaway streamClosed",
        because: "nghttp2 ends the connection where a reset would do",
      },
      {
        name: "HEADERS",
        send: [ended, headers(1, ["a", "b"], { endStream: true })],
        lean: "rst 1 streamClosed",
        node: "goaway streamClosed",
        because: "nghttp2 ends the connection where a reset would do",
      },
      { name: "CONTINUATION", send: [ended, continuation(1, block(["a", "b"]))], lean: "goaway protocolError" },
      { name: "WINDOW_UPDATE, PRIORITY", send: [ended, windowUpdate(1, 5), priority(1)], lean: "ok" },
      { name: "RST_STREAM", send: [ended, reset(1, 8)], lean: "ok" },
    ],
  },
  {
    title: "5.1 a stream that has closed",
    rules: [
      {
        name: "DATA after both have ended",
        send: [done, "settle", data(1, "x")],
        lean: "rst 1 streamClosed",
        node: "ok",
        because: "nghttp2 passes it over",
      },
      {
        name: "HEADERS after both have ended",
        send: [done, "settle", headers(1, request())],
        lean: "goaway streamClosed",
        node: "ok",
        because: "nghttp2 passes it over",
        calls: 1,
      },
      {
        name: "CONTINUATION after both have ended",
        send: [done, "settle", continuation(1, half)],
        lean: "goaway protocolError",
      },
      {
        name: "WINDOW_UPDATE, PRIORITY, RST_STREAM after both have ended",
        send: [done, "settle", windowUpdate(1, 5), priority(1), reset(1, 8)],
        lean: "ok",
      },
      {
        name: "DATA after its RST_STREAM",
        send: [open, reset(1, 8), data(1, "x")],
        lean: "rst 1 streamClosed",
        node: "ok",
        because: "nghttp2 passes it over",
      },
      {
        name: "HEADERS after its RST_STREAM",
        send: [open, reset(1, 8), headers(1, request())],
        lean: "goaway streamClosed",
        node: "ok",
        because: "nghttp2 passes it over",
        calls: 1,
      },
      {
        name: "everything after ours: it may have been under way",
        send: [
          headers(1, ["A", "b"]),
          "settle",
          data(1, "x"),
          headers(1, ["a", "b"], { endStream: true }),
          windowUpdate(1, 1),
          reset(1, 8),
        ],
        lean: "rst 1 protocolError",
        calls: 0,
      },
    ],
  },
  {
    title: "5.1.1 stream identifiers",
    rules: [
      { name: "an even one", send: [headers(2, request())], lean: "goaway protocolError", calls: 0 },
      {
        name: "one lower than before",
        send: [headers(5, request()), headers(3, request())],
        lean: "goaway protocolError",
        node: "ok",
        because: "nghttp2 passes it over",
        calls: 1,
      },
      { name: "one left out", send: [headers(5, request()), headers(9, request())], lean: "ok", calls: 2 },
      { name: "the highest", send: [headers(0x7fff_ffff, request())], lean: "ok", calls: 1 },
    ],
  },
  {
    title: "5.1.2 concurrency",
    rules: [
      {
        name: "one stream more than allowed",
        limits: { concurrentStreamsMax: 2 },
        send: [open, "settle", headers(3, request()), headers(5, request())],
        lean: "rst 5 refusedStream",
        calls: 2,
      },
      {
        name: "another when one has ended",
        limits: { concurrentStreamsMax: 1 },
        send: [done, "settle", headers(3, request())],
        lean: "ok",
        calls: 2,
      },
    ],
  },
];
