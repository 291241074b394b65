import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ChannelEvidence, certificateText, checkCertificate, type ViolationCode } from "@cutline/protocol";

/**
 * Ten frames before A's cut, of which number 4 is another snapshot's marker; this snapshot's is number 11. At its cut B
 * had received 1, 2, 3, 6 (sum 12); 5 and 7 to 10 are recorded.
 */
const sound: ChannelEvidence = {
  id: "A>B",
  from: "A",
  to: "B",
  senderReported: true,
  receiverReported: true,
  sentAtCut: 10,
  markersSent: 1,
  markersSentSum: 4,
  markerNumber: 11,
  markersReceived: 1,
  markersReceivedSum: 4,
  deliveredAtCut: 4,
  deliveredSum: 12,
  deliveredMax: 6,
  recorded: [
    { first: 5, last: 5 },
    { first: 7, last: 10 },
  ],
  recordedCount: 5,
};

const silent: ChannelEvidence = {
  ...sound,
  senderReported: false,
  sentAtCut: 0,
  markersSent: 0,
  markersSentSum: 0,
  markerNumber: 1,
  markersReceived: 0,
  markersReceivedSum: 0,
  deliveredAtCut: 0,
  deliveredSum: 0,
  deliveredMax: 0,
  recorded: [],
  recordedCount: 0,
};

const unclosed: ChannelEvidence = { ...silent, senderReported: true, receiverReported: false, markerNumber: 0 };

const codesOf = (...channels: ChannelEvidence[]) => checkCertificate(channels).violations.map(({ code }) => code);

describe("a valid certificate", () => {
  const valid: readonly (readonly [what: string, evidence: ChannelEvidence])[] = [
    ["accounts for every frame before the cut", sound],
    ["has a channel that carried nothing", { ...silent, senderReported: true }],
    ["has a channel opened after its sender's cut", silent],
    [
      "has a channel opened after its sender's cut that carries another snapshot's marker first",
      { ...silent, markerNumber: 2, markersReceived: 1, markersReceivedSum: 1 },
    ],
    ["has a channel that its receiver never closed, and that carried nothing", unclosed],
    [
      "has a channel that its receiver never closed, and that carried only markers",
      { ...unclosed, sentAtCut: 2, markersSent: 2, markersSentSum: 3 },
    ],
  ];
  for (const [what, evidence] of valid) {
    it(what, () => assert.deepEqual(checkCertificate([evidence]), { verdict: "valid", violations: [] }));
  }

  it("may have no channels", () => {
    assert.equal(checkCertificate([]).verdict, "valid");
  });
});

describe("an invalid certificate", () => {
  const invalid: readonly (readonly [
    what: string,
    codes: readonly ViolationCode[],
    changes: Partial<ChannelEvidence>,
  ])[] = [
    ["a receiver that reports nothing though frames were sent", ["ReceiverMissing"], { receiverReported: false }],
    ["a marker at the wrong number", ["MarkerMisplaced"], { markerNumber: 12 }],
    ["a frame received that was sent behind the cut", ["ReceivedBeforeSent"], { deliveredMax: 12 }],
    ["another count of other markers", ["MarkersDiffer"], { markersSent: 2 }],
    ["another sum of other markers", ["MarkersDiffer"], { markersSentSum: 5 }],
    [
      "a frame recorded that was sent behind the cut",
      ["RecordedOutOfRange", "FramesSwapped"],
      {
        recorded: [
          { first: 5, last: 5 },
          { first: 8, last: 11 },
        ],
      },
    ],
    ["a frame lost", ["FramesUnaccounted"], { recorded: [{ first: 7, last: 10 }], recordedCount: 4 }],
    ["a frame counted twice", ["FramesUnaccounted"], { deliveredAtCut: 5, deliveredSum: 17 }],
    ["one frame received twice and another not at all", ["FramesSwapped"], { deliveredSum: 11 }],
    [
      "a channel its sender opened after the cut, with frames",
      ["MarkerMisplaced", "ReceivedBeforeSent", "MarkersDiffer", "RecordedOutOfRange", "FramesUnaccounted"],
      { senderReported: false },
    ],
    ["a frame both received and recorded, though count and sum agree", ["FramesSwapped"], { deliveredMax: 7 }],
    ["frames received and no highest one", ["EvidenceMalformed"], { deliveredMax: 0 }],
    ["more frames received than numbers up to the highest", ["EvidenceMalformed"], { deliveredMax: 3 }],
    ["a count that is negative", ["EvidenceMalformed"], { deliveredAtCut: -1 }],
    ["a count that is no whole number", ["EvidenceMalformed"], { sentAtCut: 10.5 }],
    ["a count that is no number", ["EvidenceMalformed"], { markersSent: Number.NaN }],
    ["a count beyond what is exact", ["EvidenceMalformed"], { sentAtCut: 2 ** 53 }],
    ["recorded frames that are not as many as it says", ["EvidenceMalformed"], { recordedCount: 6 }],
    [
      "recorded ranges that overlap",
      ["EvidenceMalformed"],
      {
        recorded: [
          { first: 5, last: 7 },
          { first: 7, last: 8 },
        ],
      },
    ],
    [
      "recorded ranges in descending order",
      ["EvidenceMalformed"],
      {
        recorded: [
          { first: 7, last: 10 },
          { first: 5, last: 5 },
        ],
      },
    ],
    ["a recorded range that ends before it begins", ["EvidenceMalformed"], { recorded: [{ first: 9, last: 5 }] }],
    ["a recorded frame number 0", ["EvidenceMalformed"], { recorded: [{ first: 0, last: 4 }] }],
  ];
  for (const [what, codes, changes] of invalid) {
    it(`has ${what}`, () => assert.deepEqual(codesOf({ ...sound, ...changes }), codes));
  }

  it("has a channel that is listed twice", () => {
    assert.deepEqual(codesOf(sound, sound), ["EvidenceMalformed"]);
  });

  it("says which channel is wrong, and how, in numbers", () => {
    const { verdict, violations } = checkCertificate([silent, { ...sound, id: "c2", deliveredAtCut: 3 }]);
    assert.equal(verdict, "invalid");
    assert.deepEqual(violations, [
      {
        code: "FramesUnaccounted",
        channelId: "c2",
        message: "channel c2 (A to B) sent 10 frames before the cut, but 3 delivered + 5 recorded + 1 markers = 9 (I2)",
      },
    ]);
  });
});

describe("the limit of a certificate", () => {
  it("is that errors can cancel each other: deliveries are evidence by their count, sum and maximum only", () => {
    const delivering = (numbers: readonly number[]): ChannelEvidence => ({
      ...silent,
      senderReported: true,
      sentAtCut: 6,
      markerNumber: 7,
      deliveredAtCut: numbers.length,
      deliveredSum: numbers.reduce((sum, number) => sum + number, 0),
      deliveredMax: Math.max(...numbers),
      recorded: [
        { first: 2, last: 3 },
        { first: 6, last: 6 },
      ],
      recordedCount: 3,
    });
    assert.deepEqual(codesOf(delivering([1, 4, 5])), []);
    assert.deepEqual(codesOf(delivering([1, 3, 5])), ["FramesSwapped"], "one error is always found");
    assert.deepEqual(codesOf(delivering([2, 3, 5])), [], "1 and 4 are lost, 2 and 3 doubled: the sums are the same");
  });
});

describe("the text of a certificate", () => {
  it("does not depend on the order of the channels", () => {
    const other = { ...sound, id: "B>A" };
    assert.equal(certificateText([sound, other]), certificateText([other, sound]));
    assert.equal(certificateText([sound, other]).split("\n").length, 2);
  });

  it("is fixed: whoever verifies a stored certificate computes the same", () => {
    assert.equal(certificateText([sound]), '["A>B","A","B",true,true,10,1,4,11,1,4,4,12,6,[[5,5],[7,10]]]');
  });
});
