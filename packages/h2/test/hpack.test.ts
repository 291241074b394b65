import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionError, ErrorCode } from "../src/errors.ts";
import { HpackDecoder } from "../src/hpack/decoder.ts";
import { HpackEncoder } from "../src/hpack/encoder.ts";
import { huffmanBytes, huffmanDecode, huffmanEncode } from "../src/hpack/huffman.ts";
import { block, integer, text } from "./support/wire.ts";

const get = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
const getAgain = [...get, "cache-control", "no-cache"];
const getSecure = [
  ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
  ...["custom-key", "custom-value"],
];
const date = (second: number) => ["date", `Mon, 21 Oct 2013 20:13:${second} GMT`];
const location = ["location", "https://www.example.com"];
const moved = [":status", "302", "cache-control", "private", ...date(21), ...location];
const redirected = [":status", "307", "cache-control", "private", ...date(21), ...location];
const cookie = ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"];
const found = [
  ":status",
  "200",
  "cache-control",
  "private",
  ...date(22),
  ...location,
  "content-encoding",
  "gzip",
  ...cookie,
];

/** RFC 7541, appendix C: blocks in order on one connection, with the table's size in octets after each. */
const examples: { name: string; tableBytes: number; blocks: (readonly [hex: string, headers: string[]])[] }[] = [
  {
    name: "C.2.1",
    tableBytes: 4096,
    blocks: [["400a637573746f6d2d6b65790d637573746f6d2d686561646572", ["custom-key", "custom-header"]]],
  },
  { name: "C.2.2", tableBytes: 4096, blocks: [["040c2f73616d706c652f70617468", [":path", "/sample/path"]]] },
  { name: "C.2.3", tableBytes: 4096, blocks: [["100870617373776f726406736563726574", ["password", "secret"]]] },
  { name: "C.2.4", tableBytes: 4096, blocks: [["82", [":method", "GET"]]] },
  {
    name: "C.3",
    tableBytes: 4096,
    blocks: [
      ["828684410f7777772e6578616d706c652e636f6d", get],
      ["828684be58086e6f2d6361636865", getAgain],
      ["828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", getSecure],
    ],
  },
  {
    name: "C.4",
    tableBytes: 4096,
    blocks: [
      ["828684418cf1e3c2e5f23a6ba0ab90f4ff", get],
      ["828684be5886a8eb10649cbf", getAgain],
      ["828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", getSecure],
    ],
  },
  {
    name: "C.5",
    tableBytes: 256,
    blocks: [
      [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        moved,
      ],
      ["4803333037c1c0bf", redirected],
      [
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        found,
      ],
    ],
  },
  {
    name: "C.6",
    tableBytes: 256,
    blocks: [
      [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        moved,
      ],
      ["4883640effc1c0bf", redirected],
      [
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        found,
      ],
    ],
  },
];

const decode = (decoder: HpackDecoder, octets: Uint8Array) => decoder.decode(Buffer.from(octets), 0, octets.length);
const wide = () => new HpackDecoder(4096, 1_000_000);

describe("HPACK: the examples of RFC 7541, appendix C", () => {
  for (const { name, tableBytes, blocks } of examples) {
    it(`decodes ${name}`, () => {
      const decoder = new HpackDecoder(tableBytes, 4096);
      for (const [hex, headers] of blocks) assert.deepEqual(decode(decoder, Buffer.from(hex, "hex")).headers, headers);
    });

    it(`encodes what ${name} says so that it says the same`, () => {
      const encoder = new HpackEncoder();
      encoder.limitTable(tableBytes);
      const decoder = new HpackDecoder(tableBytes, 4096);
      for (let round = 0; round < 3; round += 1) {
        for (const [, headers] of blocks) assert.deepEqual(decode(decoder, encoder.encode(headers)).headers, headers);
      }
    });
  }

  it("is as short as the example where a field comes again", () => {
    const encoder = new HpackEncoder();
    encoder.encode(get);
    encoder.encode(get);
    assert.equal(encoder.encode([...get]).toString("hex"), "828684be");
  });
});

function encoded(value: string): Buffer {
  const target = Buffer.alloc(4 * value.length + 1);
  return target.subarray(0, huffmanEncode(value, target, 0));
}

describe("HPACK: Huffman", () => {
  it("gives every octet back, alone and behind each other one", () => {
    for (let first = 0; first < 256; first += 1) {
      for (let second = 0; second < 256; second += 1) {
        const value = String.fromCharCode(first, second);
        const octets = encoded(value);
        assert.equal(octets.length, huffmanBytes(value));
        assert.equal(huffmanDecode(octets, 0, octets.length), value);
      }
    }
  });

  it("has the codes of appendix B", () => {
    const known: [string, string][] = [
      ["<", "fff9"],
      ["\0", "ffc7"],
      ["\u00f9", "ffffffef"],
      ["\n", "fffffff3"],
      ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
      ["302", "6402"],
    ];
    for (const [value, hex] of known) assert.equal(encoded(value).toString("hex"), hex);
  });

  it("refuses any end that is not fewer than eight ones", () => {
    for (let octet = 0; octet < 256; octet += 1) {
      // 'a' is 00011, so three ones may follow.
      const octets = Buffer.from([octet]);
      if (octet === 0x1f) assert.equal(huffmanDecode(octets, 0, 1), "a");
      else if (octet >> 3 === 0x03) assert.throws(() => huffmanDecode(octets, 0, 1), ConnectionError);
    }
    for (let ones = 1; ones <= 4; ones += 1) {
      assert.throws(() => huffmanDecode(Buffer.alloc(ones, 0xff), 0, ones), ConnectionError);
    }
  });
});

describe("HPACK: the decoder's bounds", () => {
  const literal = (name: string, value: string) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);

  it("keeps the table up to date beyond the list's limit, and says that the list is too large", () => {
    const decoder = new HpackDecoder(4096, 100);
    const first = decode(decoder, Buffer.concat([literal("a", "b".repeat(100)), literal("c", "d")]));
    assert.deepEqual([first.size, first.headers], ["tooLarge", []]);
    assert.deepEqual(decode(decoder, Buffer.from([0xbe])).headers, ["c", "d"]);
  });

  it("counts 32 octets for each field of a list", () => {
    const decoder = new HpackDecoder(4096, 2 * 34);
    assert.equal(decode(decoder, block(["a", "b", "c", "d"])).size, "ok");
    assert.equal(decode(decoder, block(["a", "b", "c", "d", "", ""])).size, "tooLarge");
  });

  it("holds no more than the limit of a block that says 64 KiB with each octet", () => {
    const decoder = new HpackDecoder(4096, 64 * 1024);
    decode(decoder, literal("a", "x".repeat(4000)));
    const bomb = decode(decoder, Buffer.alloc(16_000, 0xbe));
    assert.deepEqual([bomb.size, bomb.headers.length], ["tooLarge", 0]);
  });

  it("empties the table for an entry larger than it", () => {
    const decoder = wide();
    decode(decoder, literal("a", "b"));
    decode(decoder, literal("c", "x".repeat(5000)));
    assert.throws(() => decode(decoder, Buffer.from([0xbe])), { errorCode: ErrorCode.compressionError });
  });

  it("takes a name from the entry that the new one evicts", () => {
    const decoder = wide();
    decode(decoder, literal("name", "x".repeat(4000)));
    const other = decode(decoder, Buffer.concat([integer(62, 0x40, 6), text("y".repeat(4000))]));
    assert.deepEqual(other.headers, ["name", "y".repeat(4000)]);
    assert.deepEqual(decode(decoder, Buffer.from([0xbe])).headers, ["name", "y".repeat(4000)]);
  });

  it("gives the same octets a new meaning when the table has changed", () => {
    const decoder = wide();
    for (let round = 0; round < 300; round += 1) {
      decode(decoder, literal("n", String(round)));
      for (let again = 0; again < 3; again += 1) {
        assert.deepEqual(decode(decoder, Buffer.from([0xbe])).headers, ["n", String(round)]);
      }
    }
  });

  it("decodes what it has remembered as it did", () => {
    const decoder = wide();
    const octets = block(["a", "b"]);
    const first = decode(decoder, octets);
    assert.equal(decode(decoder, octets), first);
    for (let other = 0; other < 500; other += 1) decode(decoder, block(["o", String(other)]));
    assert.deepEqual(decode(decoder, octets).headers, first.headers);
  });
});
