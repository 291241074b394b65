import { Flag, FrameType } from "../../src/frames/constants.ts";
import { request } from "../support/requests.ts";
import { block, frame, settingId, uint32, wire } from "../support/wire.ts";
import type { Section } from "./rule.ts";

const { settings, headers, data, reset, windowUpdate, priority } = wire;

const open = headers(1, request());
const done = headers(1, request("/done"), { endStream: true });

/** Rules of RFC 9113, section 6, that a client can break: frames of each type. */
export const serverFrameTypeRules: readonly Section[] = [
  {
    title: "6.1 DATA",
    rules: [
      { name: "on no stream", send: [data(0, "x")], lean: "goaway protocolError" },
      {
        name: "padding as long as the frame",
        send: [open, frame(FrameType.data, Flag.padded, 1, [3, 1, 2])],
        lean: "goaway protocolError",
      },
      {
        name: "padded without a length",
        send: [open, frame(FrameType.data, Flag.padded, 1)],
        lean: "goaway frameSizeError",
        node: "goaway protocolError",
        because: "both codes fit",
      },
      {
        name: "nothing but padding",
        send: [open, frame(FrameType.data, Flag.padded | Flag.endStream, 1, [2, 0, 0])],
        lean: "ok",
      },
      {
        name: "padding that is not zero",
        send: [open, frame(FrameType.data, Flag.padded, 1, [2, 65, 9, 9])],
        lean: "ok",
      },
    ],
  },
  {
    title: "6.2 HEADERS",
    rules: [
      { name: "on no stream", send: [headers(0, request())], lean: "goaway protocolError" },
      {
        name: "padding longer than the frame",
        send: [frame(FrameType.headers, Flag.padded | Flag.endHeaders, 1, [200, 1])],
        lean: "goaway protocolError",
      },
      {
        name: "padded without a length",
        send: [frame(FrameType.headers, Flag.padded | Flag.endHeaders, 1)],
        lean: "goaway frameSizeError",
        node: "goaway protocolError",
        because: "both codes fit",
      },
      {
        name: "too short for its priority",
        send: [frame(FrameType.headers, Flag.priority | Flag.endHeaders, 1, [0, 0, 0, 0])],
        lean: "goaway frameSizeError",
      },
      {
        name: "padding that reaches into the priority",
        send: [frame(FrameType.headers, Flag.padded | Flag.priority | Flag.endHeaders, 1, [3, 0, 0, 0, 0, 0])],
        lean: "goaway protocolError",
      },
      {
        name: "with padding and priority",
        send: [
          frame(
            FrameType.headers,
            Flag.padded | Flag.priority | Flag.endHeaders,
            1,
            Buffer.concat([Buffer.from([4]), uint32(0), Buffer.from([1]), block(request()), Buffer.alloc(4)]),
          ),
        ],
        lean: "ok",
        calls: 1,
      },
      {
        name: "with a priority that depends on itself",
        send: [
          frame(
            FrameType.headers,
            Flag.priority | Flag.endHeaders,
            1,
            Buffer.concat([uint32(1), Buffer.from([1]), block(request())]),
          ),
        ],
        lean: "ok",
        node: "goaway protocolError",
        because: "RFC 9113 has given priorities up",
      },
    ],
  },
  {
    title: "6.3 PRIORITY",
    rules: [
      {
        name: "on no stream",
        send: [priority(0)],
        lean: "goaway protocolError",
        node: "ok",
        because: "nghttp2 passes it over",
      },
      {
        name: "4 octets on an open stream",
        send: [open, frame(FrameType.priority, 0, 1, [0, 0, 0, 0])],
        lean: "rst 1 frameSizeError",
        node: "goaway frameSizeError",
        because: "nghttp2 ends the connection where a reset would do",
      },
      {
        name: "6 octets on a stream that nobody has opened",
        send: [frame(FrameType.priority, 0, 1, Buffer.alloc(6))],
        lean: "ok",
        node: "goaway frameSizeError",
        because: "a stream that is not open cannot be reset",
      },
      {
        name: "a stream that depends on itself",
        send: [open, priority(1, 1)],
        lean: "ok",
        because: "RFC 9113 has given priorities up",
      },
    ],
  },
  {
    title: "6.4 RST_STREAM",
    rules: [
      { name: "on no stream", send: [reset(0, 8)], lean: "goaway protocolError" },
      { name: "3 octets", send: [open, frame(FrameType.rstStream, 0, 1, [0, 0, 0])], lean: "goaway frameSizeError" },
      { name: "an unknown code", send: [open, reset(1, 0xdead_beef)], lean: "ok" },
    ],
  },
  {
    title: "6.5 SETTINGS",
    rules: [
      {
        name: "an acknowledgement with a payload",
        send: [frame(FrameType.settings, Flag.ack, 0, Buffer.alloc(6))],
        lean: "goaway frameSizeError",
      },
      { name: "on a stream", send: [frame(FrameType.settings, 0, 1)], lean: "goaway protocolError" },
      { name: "5 octets", send: [frame(FrameType.settings, 0, 0, Buffer.alloc(5))], lean: "goaway frameSizeError" },
      { name: "ENABLE_PUSH 2", send: [settings([settingId.enablePush, 2])], lean: "goaway protocolError" },
      { name: "ENABLE_PUSH 1", send: [settings([settingId.enablePush, 1])], lean: "ok" },
      {
        name: "INITIAL_WINDOW_SIZE 2^31",
        send: [settings([settingId.initialWindowSize, 2 ** 31])],
        lean: "goaway flowControlError",
      },
      {
        name: "INITIAL_WINDOW_SIZE 2^31 - 1",
        send: [open, settings([settingId.initialWindowSize, 2 ** 31 - 1])],
        lean: "ok",
      },
      {
        name: "MAX_FRAME_SIZE 16,383",
        send: [settings([settingId.maxFrameSize, 16_383])],
        lean: "goaway protocolError",
      },
      {
        name: "MAX_FRAME_SIZE 2^24",
        send: [settings([settingId.maxFrameSize, 2 ** 24])],
        lean: "goaway protocolError",
      },
      { name: "MAX_FRAME_SIZE 2^24 - 1", send: [settings([settingId.maxFrameSize, 2 ** 24 - 1])], lean: "ok" },
      { name: "an unknown one", send: [settings([0xabcd, 7], [0, 1])], lean: "ok" },
      {
        name: "HEADER_TABLE_SIZE 2^32 - 1, then 0",
        send: [settings([settingId.headerTableSize, 2 ** 32 - 1], [settingId.headerTableSize, 0]), done],
        lean: "ok",
      },
      {
        name: "33 in one frame",
        send: [settings(...Array.from({ length: 33 }, () => [settingId.initialWindowSize, 1] as const))],
        lean: "goaway enhanceYourCalm",
      },
      {
        name: "an acknowledgement too many",
        send: [wire.settingsAck, wire.settingsAck],
        lean: "ok",
        node: "goaway protocolError",
        because: "the RFC says nothing of it; passing it over costs nothing",
      },
    ],
  },
  {
    title: "6.6 PUSH_PROMISE, 6.7 PING, 6.8 GOAWAY",
    rules: [
      {
        name: "PUSH_PROMISE",
        send: [open, frame(FrameType.pushPromise, Flag.endHeaders, 1, Buffer.concat([uint32(2), block(request())]))],
        lean: "goaway protocolError",
      },
      { name: "PING on a stream", send: [frame(FrameType.ping, 0, 1, Buffer.alloc(8))], lean: "goaway protocolError" },
      { name: "PING of 7 octets", send: [frame(FrameType.ping, 0, 0, Buffer.alloc(7))], lean: "goaway frameSizeError" },
      {
        name: "an answer to no PING",
        send: [frame(FrameType.ping, Flag.ack, 0, Buffer.alloc(8))],
        lean: "ok",
        node: "goaway internalError",
        because: "the RFC says nothing of it; passing it over costs nothing",
      },
      { name: "GOAWAY on a stream", send: [frame(FrameType.goaway, 0, 1, uint32(0, 0))], lean: "goaway protocolError" },
      {
        name: "GOAWAY of 7 octets",
        send: [frame(FrameType.goaway, 0, 0, Buffer.alloc(7))],
        lean: "goaway frameSizeError",
      },
      {
        name: "GOAWAY while a stream is open",
        send: [open, wire.goaway(0, 0)],
        lean: "ok",
        node: "goaway noError",
        because: "node:http2 says that it ends, too; the stream goes on with both",
      },
    ],
  },
  {
    title: "6.9 flow control",
    rules: [
      {
        name: "an increment of 0 for a stream",
        send: [open, windowUpdate(1, 0)],
        lean: "rst 1 protocolError",
        node: "goaway protocolError",
        because: "nghttp2 ends the connection where a reset would do",
      },
      { name: "an increment of 0 for the connection", send: [windowUpdate(0, 0)], lean: "goaway protocolError" },
      {
        name: "WINDOW_UPDATE of 3 octets",
        send: [open, frame(FrameType.windowUpdate, 0, 1, [0, 0, 1])],
        lean: "goaway frameSizeError",
      },
      {
        name: "a stream's window of 2^31",
        send: [open, windowUpdate(1, 0x7fff_ffff)],
        lean: "rst 1 flowControlError",
        node: "goaway flowControlError",
        because: "nghttp2 ends the connection where a reset would do",
      },
      {
        name: "the connection's window of 2^31",
        send: [windowUpdate(0, 0x7fff_ffff)],
        lean: "goaway flowControlError",
      },
      {
        name: "a stream's window of 2^31 by SETTINGS",
        send: [open, windowUpdate(1, 0x7fff_0000), settings([settingId.initialWindowSize, 0x7fff_ffff])],
        lean: "goaway flowControlError",
      },
      {
        name: "a stream's window up to 2^31 - 1",
        send: [open, windowUpdate(1, 0x7fff_ffff - 65_535), windowUpdate(0, 0x7fff_ffff - 65_535)],
        lean: "ok",
      },
      {
        name: "one octet beyond a stream's window",
        limits: { streamWindowBytes: 65_536 },
        send: [
          headers(1, request("/paused")),
          wire.settingsAck,
          ...Array.from({ length: 4 }, () => data(1, Buffer.alloc(16_384))),
          data(1, "x"),
        ],
        lean: "rst 1 flowControlError",
        node: "goaway flowControlError",
        because: "nghttp2 ends the connection where a reset would do",
      },
    ],
  },
];
