import { request } from "../support/requests.ts";
import { block, integer, text, wire } from "../support/wire.ts";
import type { Rule, Section } from "./rule.ts";

const { headers, data, settings } = wire;

const open = headers(1, request());
const malformed = "rst 1 protocolError";

/** A request that must not reach the application. */
function bad(name: string, fields: readonly string[], node?: string, because?: string): Rule {
  return {
    name,
    send: [headers(1, fields, { endStream: true })],
    lean: malformed,
    calls: 0,
    ...(node === undefined ? {} : { node }),
    ...(because === undefined ? {} : { because }),
  };
}

function good(name: string, fields: readonly string[], node?: string, because?: string): Rule {
  return { ...bad(name, fields, node, because), lean: "ok", calls: 1 };
}

const withLength = (length: string) => headers(1, request("/open", "content-length", length));

/** A block that is no block. */
function broken(name: string, octets: Uint8Array, node?: string, because?: string): Rule {
  return {
    name,
    send: [headers(1, octets)],
    lean: "goaway compressionError",
    calls: 0,
    ...(node === undefined ? {} : { node }),
    ...(because === undefined ? {} : { because }),
  };
}

const whole = block(request());
const update = (size: number) => integer(size, 0x20, 5);

/** Rules of RFC 9113, section 8, and of RFC 7541 that a client can break: what its requests say. */
export const serverMessageRules: readonly Section[] = [
  {
    title: "8.1 messages",
    rules: [
      { name: "HEADERS in the middle, without END_STREAM", send: [open, headers(1, ["a", "b"])], lean: malformed },
      { name: "trailers", send: [open, data(1, "x"), headers(1, ["a", "b"], { endStream: true })], lean: "ok" },
      { name: "empty trailers", send: [open, headers(1, [], { endStream: true })], lean: "ok" },
      {
        name: "a pseudo-header in trailers",
        send: [open, headers(1, [":path", "/"], { endStream: true })],
        lean: malformed,
      },
      {
        name: "an upper-case name in trailers",
        send: [open, headers(1, ["A", "b"], { endStream: true })],
        lean: malformed,
      },
      {
        name: "DATA behind trailers",
        send: [open, headers(1, ["a", "b"], { endStream: true }), data(1, "x")],
        lean: "rst 1 streamClosed",
        node: "goaway streamClosed",
        because: "nghttp2 ends the connection where a reset would do",
      },
    ],
  },
  {
    title: "8.1.1 content-length",
    rules: [
      { name: "as said", send: [withLength("3"), data(1, "ab"), data(1, "c", true)], lean: "ok" },
      {
        name: "more than said",
        send: [withLength("3"), data(1, "abcd")],
        lean: malformed,
        node: "goaway internalError",
        because: "node:http2 ends the connection where a reset would do",
      },
      { name: "less than said", send: [withLength("3"), data(1, "ab", true)], lean: malformed },
      {
        name: "less than said, before trailers",
        send: [withLength("3"), data(1, "ab"), headers(1, ["a", "b"], { endStream: true })],
        lean: malformed,
      },
      bad("3 without a body", request("/open", "content-length", "3")),
      good("0 without a body", request("/open", "content-length", "0")),
      bad("no number", request("/open", "content-length", "3x")),
      bad("negative", request("/open", "content-length", "-0")),
      bad("twice, and not the same", request("/open", "content-length", "0", "content-length", "1")),
    ],
  },
  {
    title: "8.2 names and values",
    rules: [
      bad("an upper-case name", request("/open", "X-Upper", "1")),
      bad("an empty name", request("/open", "", "1"), "ok", "nghttp2 drops the header and serves the rest"),
      bad("a name with a space", request("/open", "a b", "1"), "ok", "nghttp2 drops the header and serves the rest"),
      bad(
        "a name with an octet above 0x7f",
        request("/open", "a\u00e4", "1"),
        "ok",
        "nghttp2 drops the header and serves the rest",
      ),
      bad("a name with NUL", request("/open", "a\0", "1"), "ok", "nghttp2 drops the header and serves the rest"),
      bad("a name with a colon", request("/open", "a:b", "1"), "ok", "nghttp2 drops the header and serves the rest"),
      bad("a value with NUL", request("/open", "a", "b\0c"), "ok", "nghttp2 drops the header and serves the rest"),
      bad(
        "a value with a line feed",
        request("/open", "a", "b\nc"),
        "ok",
        "nghttp2 drops the header and serves the rest",
      ),
      bad(
        "a value with a carriage return",
        request("/open", "a", "b\rc"),
        "ok",
        "nghttp2 drops the header and serves the rest",
      ),
      bad(
        "a value that begins with a space",
        request("/open", "a", " b"),
        "ok",
        "nghttp2 drops the header and serves the rest",
      ),
      bad(
        "a value that ends with a tab",
        request("/open", "a", "b\t"),
        "ok",
        "nghttp2 drops the header and serves the rest",
      ),
      good("an empty value", request("/open", "a", "")),
      good("a value with octets above 0x7f, spaces and tabs inside", request("/open", "a", "b \t\u00e4 c")),
    ],
  },
  {
    title: "8.2.2 headers of the connection",
    rules: [
      ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map((name) =>
        bad(name, request("/open", name, "x")),
      ),
      bad("http2-settings", request("/open", "http2-settings", "x"), "ok", "nghttp2 does not know it as one of these"),
      bad("te that is not trailers", request("/open", "te", "gzip")),
      good("te: trailers", request("/open", "te", "trailers")),
    ],
  },
  {
    title: "8.3 pseudo-headers of requests",
    rules: [
      bad("one behind a regular header", [":method", "GET", ":scheme", "http", "a", "b", ":path", "/"]),
      bad("an unknown one", [":x", "y", ...request()]),
      bad(":status", [":status", "200", ...request()]),
      bad(":protocol, which nobody has allowed", [
        ":method",
        "CONNECT",
        ":protocol",
        "websocket",
        ":scheme",
        "http",
        ":path",
        "/",
        ":authority",
        "a",
      ]),
      bad("no :method", [":scheme", "http", ":path", "/"]),
      bad("no :scheme", [":method", "GET", ":path", "/"]),
      bad("no :path", [":method", "GET", ":scheme", "http"]),
      bad("an empty :path", [":method", "GET", ":scheme", "http", ":path", ""]),
      bad(":method twice", [":method", "GET", ":method", "GET", ":scheme", "http", ":path", "/"]),
      bad(":scheme twice", [":method", "GET", ":scheme", "http", ":scheme", "http", ":path", "/"]),
      bad(":path twice", [":method", "GET", ":scheme", "http", ":path", "/", ":path", "/"]),
      bad(":authority twice", [...request().slice(0, 8), ":authority", "a.test"]),
      bad("nothing at all", []),
      bad(":path with a line feed", [":method", "GET", ":scheme", "http", ":path", "/\n"]),
      bad("CONNECT with :path", [":method", "CONNECT", ":authority", "a:1", ":path", "/"]),
      bad("CONNECT without :authority", [":method", "CONNECT"]),
      good("CONNECT", [":method", "CONNECT", ":authority", "a:1"]),
      good(
        "no :authority",
        [":method", "GET", ":scheme", "http", ":path", "/"],
        malformed,
        "RFC 9113, section 8.3.1, allows it; nghttp2 wants it, or `host`",
      ),
    ],
  },
  {
    title: "header lists that are too long",
    rules: [
      {
        name: "one above the limit",
        limits: { headerListBytesMax: 1024 },
        send: [headers(1, request("/open", "a", "x".repeat(1000))), headers(3, request())],
        lean: "rst 1 enhanceYourCalm",
        node: "ok",
        because: "node:http2 has the limit for the number of headers only",
        calls: 1,
      },
      {
        name: "a block far above the limit",
        limits: { headerListBytesMax: 1024 },
        send: [headers(1, Buffer.alloc(16_384), { endHeaders: false }), wire.continuation(1, Buffer.alloc(16_384))],
        lean: "goaway enhanceYourCalm",
        node: "goaway compressionError",
        because: "nghttp2 decodes as it reads",
        calls: 0,
      },
      {
        name: "65 frames",
        send: [
          headers(1, whole.subarray(0, 1), { endHeaders: false }),
          ...Array.from({ length: 64 }, (_, i) => wire.continuation(1, whole.subarray(i + 1, i + 2), false)),
        ],
        lean: "goaway enhanceYourCalm",
        node: "goaway internalError",
        because: "node:http2 has one code for what nghttp2 refuses",
        calls: 0,
      },
    ],
  },
  {
    title: "RFC 7541, 2.3.3 and 6.1: indices",
    rules: [
      broken("index 0", Buffer.from([0x80])),
      broken("62 in an empty dynamic table", Buffer.from([0xbe])),
      broken("a name of index 62 in an empty dynamic table", Buffer.concat([Buffer.from([0x7e]), text("x")])),
      broken(
        "an index that never ends",
        Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      ),
      broken("an index of 2^32 + 61", Buffer.concat([integer(2 ** 32 + 61, 0x80, 7)])),
      broken("an index that is cut short", Buffer.from([0xff])),
      {
        name: "one that a refused request has put into the table",
        limits: { concurrentStreamsMax: 1 },
        send: [
          open,
          headers(3, Buffer.concat([whole, Buffer.from([0x40]), text("a"), text("b")])),
          headers(5, Buffer.concat([whole, Buffer.from([0xbe])])),
        ],
        lean: "rst 3 refusedStream, rst 5 refusedStream",
      },
      {
        name: "one that was evicted",
        send: [
          headers(1, Buffer.concat([whole, Buffer.from([0x40]), text("a"), text("b")])),
          headers(3, Buffer.concat([whole, Buffer.from([0x40]), text("c"), text("x".repeat(4096))])),
          headers(5, Buffer.concat([whole, Buffer.from([0xbe])])),
        ],
        lean: "goaway compressionError",
        calls: 2,
      },
    ],
  },
  {
    title: "RFC 7541, 5.2: strings",
    rules: [
      broken("longer than the block", Buffer.from([0x00, 0x05, 0x61])),
      broken("a length that is cut short", Buffer.from([0x00, 0x7f])),
      broken("a name and no value", Buffer.from([0x00, 0x01, 0x61])),
      broken("Huffman: EOS", Buffer.from([0x00, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00])),
      broken("Huffman: padding of more than 7 bits", Buffer.from([0x00, 0x82, 0x1f, 0xff, 0x00])),
      broken("Huffman: padding of zeros", Buffer.from([0x00, 0x81, 0x18, 0x00])),
      broken("Huffman: a code cut short", Buffer.from([0x00, 0x81, 0xfe, 0x00])),
    ],
  },
  {
    title: "RFC 7541, 4.2 and 6.3: table sizes",
    rules: [
      broken("above what SETTINGS allow", Buffer.concat([update(4097), whole])),
      broken("behind a header", Buffer.concat([whole, update(0)])),
      {
        name: "0, then 4096",
        send: [headers(1, Buffer.concat([update(0), update(4096), whole]))],
        lean: "ok",
        calls: 1,
      },
      {
        name: "our acknowledgement of a smaller one, and our encoder keeps to it",
        send: [
          settings([1, 0]),
          headers(1, request("/done"), { endStream: true }),
          headers(3, request("/done"), { endStream: true }),
        ],
        lean: "ok",
        calls: 2,
      },
    ],
  },
];
