import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { certificateText } from "@cutline/protocol";
import { verifyGlobalState } from "../src/verify/document.ts";
import { globalState, type Loose, ndjson, sha256 } from "./support/fixtures.ts";
import { run } from "./support/run.ts";

const bytesOf = async function* (...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
};

/** As someone would who wants to hide it: the digest fits the changed numbers. */
function seal(document: Loose): void {
  document.snapshot.certificate.digest = sha256(certificateText(document.snapshot.channels));
}

test("a correct global state proves itself, in both forms and in many lines", async () => {
  const document = globalState();
  for (const text of [JSON.stringify(document), JSON.stringify(document, undefined, 2), ndjson(document).join("")]) {
    const report = await verifyGlobalState(bytesOf(text.slice(0, 1000), text.slice(1000)));
    assert.deepEqual(report.violations, []);
    assert.equal(report.verdict, "valid");
  }
});

test("verify prints a line for each check", async () => {
  const { exitCode, stdout } = await run(["verify", "-"], { stdin: JSON.stringify(globalState()) });
  assert.equal(
    stdout,
    `ok    document     the document is whole, and its snapshot is Completed
ok    certificate  nothing was received that was not sent, and nothing sent is unaccounted for, on 2 channels (I1, I2)
ok    digest       the certificate was made over exactly these numbers
ok    channels     the channels here are the manifest's 2 channels, between its own processes
ok    recorded     the recorded frames are the certificate's, number by number: 4 frames
ok    outbox       the outboxes hold as many frames as the manifest says: 2
ok    states       the local states have the manifest's sizes and hashes: 2 processes, 28 B
ok    calls        the calls in process are as many as the manifest says: 1
ok    exactness    the snapshot is exact, and so is every process stored

The global state of s-0001 is consistent and complete (exact, partial).
`,
  );
  assert.equal(exitCode, 0);
});

/** What is done to a correct document, and every violation that must be told of it. */
const tamperings: readonly {
  readonly name: string;
  readonly tamper: (document: Loose) => void;
  readonly codes: readonly string[];
  readonly message: RegExp;
}[] = [
  {
    name: "a frame is delivered that was sent behind the cut",
    tamper: (d) => {
      d.snapshot.channels[1].deliveredMax = 4;
      seal(d);
    },
    codes: ["ReceivedBeforeSent"],
    message: /l1:1 .* delivered frame 4, but only 3 were sent before the cut \(I1\)/,
  },
  {
    name: "a frame is lost",
    tamper: (d) => {
      d.snapshot.channels[1].deliveredAtCut = 2;
      seal(d);
    },
    codes: ["FramesUnaccounted"],
    message: /l1:1 .* sent 3 frames before the cut, but 2 delivered \+ 0 recorded \+ 0 markers = 2 \(I2\)/,
  },
  {
    name: "one frame twice and another one never",
    tamper: (d) => {
      d.snapshot.channels[1].deliveredSum = 5;
      seal(d);
    },
    codes: ["FramesSwapped"],
    message: /not for the same ones/,
  },
  {
    name: "the marker is not behind the last frame",
    tamper: (d) => {
      d.snapshot.channels[0].markerNumber = 12;
      seal(d);
    },
    codes: ["MarkerMisplaced"],
    message: /marker at number 12, expected 11/,
  },
  {
    name: "foreign markers differ at the two ends",
    tamper: (d) => {
      d.snapshot.channels[0].markersSentSum = 5;
      seal(d);
    },
    codes: ["MarkersDiffer"],
    message: /l1:0/,
  },
  {
    name: "the receiver never reported",
    tamper: (d) => {
      d.snapshot.channels[1].receiverReported = false;
      seal(d);
    },
    codes: ["ReceiverMissing"],
    message: /carried 3 frames before the sender's cut and was never closed/,
  },
  {
    name: "recorded ranges are out of order",
    tamper: (d) => {
      d.snapshot.channels[0].recorded = [
        { first: 9, last: 10 },
        { first: 7, last: 8 },
      ];
      seal(d);
    },
    codes: ["EvidenceMalformed"],
    message: /range 7-8 out of order/,
  },
  {
    name: "numbers are changed so that they add up, but the digest was made before",
    tamper: (d) => {
      d.snapshot.channels[1].sentAtCut = 0;
      d.snapshot.channels[1].markerNumber = 1;
      d.snapshot.channels[1].deliveredAtCut = 0;
      d.snapshot.channels[1].deliveredSum = 0;
      d.snapshot.channels[1].deliveredMax = 0;
    },
    codes: ["DigestDiffers"],
    message: /the certificate was made over [0-9a-f]{64}/,
  },
  {
    name: "a recorded frame is taken out",
    tamper: (d) => d.channels[0].frames.splice(1, 1),
    codes: ["FramesMissing"],
    message: /l1:0 \(bank\/north to bank\/south\) lacks the recorded frames 8$/,
  },
  {
    name: "a frame is put in that was not recorded",
    tamper: (d) => d.channels[0].frames.push({ ...d.channels[0].frames[0], number: 6 }),
    codes: ["FramesUnexpected"],
    message: /has the frames 6, which the manifest has not/,
  },
  {
    name: "a recorded frame stands there twice",
    tamper: (d) => d.channels[0].frames.push(d.channels[0].frames[0]),
    codes: ["FramesTwice"],
    message: /has the frames 7 twice/,
  },
  {
    name: "an outbox frame is taken out",
    tamper: (d) => d.channels[0].frames.pop(),
    codes: ["OutboxDiffers"],
    message: /has 1 frame in its outbox, the manifest says 2/,
  },
  {
    name: "an outbox frame has a number",
    tamper: (d) => {
      d.channels[0].frames.at(-1).number = 5;
    },
    codes: ["OutboxNumbered"],
    message: /numbered 5 in its outbox/,
  },
  {
    name: "a local state is changed, of the same length",
    tamper: (d) => {
      d.processes[0].data = '{"balance":90}';
    },
    codes: ["StateHashDiffers"],
    message: /process bank\/north has a state with SHA-256 [0-9a-f]{64}, the manifest says [0-9a-f]{64}/,
  },
  {
    name: "a local state is cut short",
    tamper: (d) => {
      d.processes[1].data = Buffer.from('{"balance":').toString("base64");
    },
    codes: ["StateSizeDiffers", "StateHashDiffers"],
    message: /bank\/south has 11 bytes of state, the manifest says 14/,
  },
  {
    name: "a local state is left out",
    tamper: (d) => d.processes.pop(),
    codes: ["StateMissing"],
    message: /process bank\/south has no local state here/,
  },
  {
    name: "a local state of another incarnation",
    tamper: (d) => {
      d.processes[0].incarnation = "bank/north-2";
    },
    codes: ["IncarnationDiffers"],
    message: /is incarnation bank\/north-2 here, bank\/north-1 in the manifest/,
  },
  {
    name: "a process that nobody knows",
    tamper: (d) => d.processes.push({ ...d.processes[0], id: "bank/east" }),
    codes: ["ProcessUnknown"],
    message: /process bank\/east is not in the manifest/,
  },
  {
    name: "a call in process is left out",
    tamper: (d) => d.processes[0].callsInProcess.pop(),
    codes: ["CallsDiffer"],
    message: /bank\/north has 0 calls in process here, the manifest says 1/,
  },
  {
    name: "a whole channel is left out",
    tamper: (d) => d.channels.shift(),
    codes: ["ChannelMissing"],
    message: /l1:0 .* is missing with 4 recorded frames and 2 in its outbox/,
  },
  {
    name: "a channel goes the other way",
    tamper: (d) => {
      d.channels[0].to = "bank/east";
    },
    codes: ["ChannelEndsDiffer"],
    message: /goes from bank\/north to bank\/south in the manifest/,
  },
  {
    name: "a process is removed without trace",
    tamper: (d) => {
      d.processes.pop();
      d.snapshot.processes.pop();
    },
    codes: ["ChannelEndUnknown", "ChannelEndUnknown"],
    message: /reported by bank\/south, which is not among the snapshot's processes/,
  },
  {
    name: "an inexact process in an exact snapshot",
    tamper: (d) => {
      d.snapshot.processes[0].exact = false;
    },
    codes: ["ExactWithoutProof"],
    message: /says it is exact, but the process bank\/north is not/,
  },
  {
    name: "not exact, and no reason",
    tamper: (d) => {
      d.snapshot.exact = false;
      d.snapshot.reasons = [];
    },
    codes: ["InexactWithoutReason"],
    message: /gives no reason/,
  },
  {
    name: "a snapshot that failed",
    tamper: (d) => {
      d.snapshot.phase = "Failed";
    },
    codes: ["NotCompleted"],
    message: /the snapshot is Failed/,
  },
  {
    name: "an invalid certificate painted valid",
    tamper: (d) => {
      d.snapshot.certificate.verdict = "invalid";
      d.snapshot.exact = false;
    },
    codes: ["VerdictDiffers"],
    message: /says invalid, its own channels say valid/,
  },
];

for (const { name, tamper, codes, message } of tamperings) {
  test(`verify finds: ${name}`, async () => {
    const document = globalState();
    tamper(document);
    const { exitCode, stdout } = await run(["verify", "-", "-o", "json"], { stdin: JSON.stringify(document) });
    const report = JSON.parse(stdout);
    const relevant = report.violations.filter(({ code }: Loose) => codes.includes(code));
    assert.deepEqual(
      relevant.map(({ code }: Loose) => code),
      codes,
      stdout,
    );
    assert.match(relevant[0].message, message);
    assert.equal(report.verdict, "invalid");
    assert.equal(exitCode, 1);
    // Nothing that is right may be called wrong beside it; a wrong certificate is also one that says otherwise.
    const others = report.violations.filter(({ code }: Loose) => !codes.includes(code) && code !== "VerdictDiffers");
    assert.deepEqual(others, []);

    const lines = await verifyGlobalState(bytesOf(ndjson(document).join("")));
    assert.deepEqual(
      lines.violations.map(({ code }) => code),
      report.violations.map(({ code }: Loose) => code),
      "NDJSON says the same",
    );
  });
}

test("violations are listed for people, with their channel and numbers", async () => {
  const document = globalState();
  document.channels[0].frames.splice(1, 2);
  const { stdout } = await run(["verify", "-"], { stdin: JSON.stringify(document) });
  assert.match(stdout, /^FAIL {2}recorded {5}1 violation$/m);
  const line = "  recorded  FramesMissing: channel l1:0 (bank/north to bank/south) lacks the recorded frames 8-9";
  assert.ok(stdout.split("\n").includes(line), stdout);
  assert.match(stdout, /The global state of s-0001 does not prove itself\.\n$/);
});

test("NDJSON without its end, out of place or garbled is torn", async () => {
  const lines = ndjson(globalState());
  const torn = await verifyGlobalState(bytesOf(lines.slice(0, -1).join("")));
  assert.deepEqual(
    torn.violations.map(({ code }) => code),
    ["DocumentTorn"],
  );

  const chunk = lines.findIndex((line) => line.includes('"chunk"') && line.includes("bank/south"));
  const moved = [...lines.slice(0, 1), ...lines.splice(chunk, 1), ...lines.slice(1)];
  const misplaced = await verifyGlobalState(bytesOf(moved.join("")));
  assert.ok(misplaced.violations.some(({ code }) => code === "LineMisplaced"));
  assert.ok(misplaced.violations.some(({ code }) => code === "StateHashDiffers"));

  const garbled = await verifyGlobalState(bytesOf(ndjson(globalState()).join("").replace('{"type":"frame"', "frame")));
  assert.ok(
    garbled.violations.some(({ code, message }) => code === "DocumentTorn" && /is no JSON object/.test(message)),
  );
});

test("what is no global state is refused with the reason", async () => {
  const half = JSON.stringify(globalState()).slice(0, 2000);
  const cases: readonly [string, RegExp, number][] = [
    [half, /not JSON .* download it again/, 1],
    ["", /it is empty/, 1],
    ["[]", /no JSON object/, 1],
    ['{"format":"other.v9"}', /its format is "other.v9", not cutline.v1.GlobalState/, 1],
    ['{"format":"cutline.v1.GlobalState"}', /no manifest/, 1],
  ];
  for (const [stdin, message, exitCode] of cases) {
    const ran = await run(["verify", "-"], { stdin });
    assert.match(ran.stderr, message);
    assert.equal(ran.exitCode, exitCode);
  }
});

test("a document above the limit is refused and NDJSON named; NDJSON of the same size is read", async () => {
  const document = globalState();
  const text = JSON.stringify(document, undefined, 1);
  const limit = 4500;
  assert.ok(text.length > limit);
  await assert.rejects(verifyGlobalState(bytesOf(text), limit), {
    code: "DocumentTooLarge",
    message: /longer than 4500 bytes: download the state with --ndjson/,
  });
  const lines = ndjson(document);
  assert.ok(lines.join("").length > limit);
  assert.equal((await verifyGlobalState(bytesOf(...lines), limit)).verdict, "valid");
});

test("verify reads a file, and says which one is missing", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cutline-"));
  try {
    const file = join(folder, "state.json");
    await writeFile(file, JSON.stringify(globalState()));
    assert.equal((await run(["verify", file])).exitCode, 0);
    const missing = await run(["verify", `${file}.not`]);
    assert.equal(missing.exitCode, 3);
    assert.match(missing.stderr, /there is no file .*state\.json\.not/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
