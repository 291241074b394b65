import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  bankDescriptorSet,
  branchA,
  branchB,
  channelId,
  stateText,
  transferBytes,
  vaultBytes,
} from "./support/bank.ts";
import { sha256 } from "./support/fakes.ts";
import { problemOf, serve } from "./support/server.ts";

const stateUrl = "/v1/snapshots/01JBANK/state";
const ndjson = { accept: "application/x-ndjson" };

describe("GET /v1/snapshots/{id}/state", () => {
  it("gives every local state so that its bytes can be had back", async (t) => {
    const { app, snapshot } = serve(t);
    const state = (await app.inject(stateUrl)).json();
    assert.equal(state.format, "cutline.v1.GlobalState");
    assert.deepEqual(state.snapshot, JSON.parse(JSON.stringify(snapshot)));
    const [a, b, vault] = state.processes;
    assert.deepEqual([a.id, a.encoding, a.data], [branchA, "utf8", stateText]);
    assert.deepEqual([b.id, b.encoding, b.data], [branchB, "base64", vaultBytes.toString("base64")]);
    assert.deepEqual([vault.stored, vault.data], [false, ""]);
    for (const [index, shown] of [a, b].entries()) {
      assert.equal(sha256(Buffer.from(shown.data, shown.encoding)), snapshot.processes[index]?.stateSha256);
    }
  });

  it("shows the calls in process with what they wait for", async (t) => {
    const { app } = serve(t);
    const [call] = (await app.inject(stateUrl)).json().processes[0].callsInProcess;
    assert.equal(call.incomingId, 7);
    assert.equal(call.waitsFor[0].to, "bank/vault");
    assert.deepEqual(call.request, {
      complete: true,
      compressed: false,
      payloadBase64: transferBytes.toString("base64"),
    });
  });

  it("shows frames as they were recorded, the outbox last", async (t) => {
    const { app } = serve(t);
    const [channel, empty] = (await app.inject(stateUrl)).json().channels;
    const kinds = channel.frames.map((frame: { number: number; kind: string; source: string }) => [
      frame.number,
      frame.kind,
      frame.source,
    ]);
    assert.deepEqual(kinds, [
      [4, "open", "records"],
      [5, "message", "records"],
      [6, "message", "records"],
      [7, "message", "records"],
      [8, "message", "records"],
      [9, "halfClose", "records"],
      [10, "reset", "records"],
      [0, "message", "outbox"],
    ]);
    assert.deepEqual(channel.frames[0].headers, [
      { name: "x-user", value: "änne" },
      { name: "x-raw", valueBase64: "/wA=" },
    ]);
    assert.equal(channel.frames[6].resetCode, 8);
    assert.equal(channel.frames[6].direction, "response");
    assert.deepEqual([empty.frames, empty.messages], [[], []]);
  });

  it("joins the pieces of a message from both ends and decodes what it can", async (t) => {
    const { app } = serve(t, { descriptorSet: bankDescriptorSet() });
    const [channel] = (await app.inject(stateUrl)).json().channels;
    const whole = transferBytes.toString("base64");
    const json = { account: "alice", cents: 42 };
    const identity = { method: "/bank.v1.Bank/Transfer", direction: "request", messageIndex: 0 };
    const torn = transferBytes.subarray(1).toString("base64");
    assert.deepEqual(channel.messages, [
      { callId: 1, ...identity, source: "records", complete: true, compressed: false, payloadBase64: whole, json },
      { callId: 3, ...identity, source: "records", complete: true, compressed: true, payloadBase64: whole },
      { callId: 4, ...identity, source: "records", complete: false, compressed: false, payloadBase64: torn },
      { callId: 2, ...identity, source: "both", complete: true, compressed: false, payloadBase64: whole, json },
    ]);
  });

  it("is the same as NDJSON, and ends with an end line", async (t) => {
    const { app } = serve(t);
    const document = (await app.inject(stateUrl)).json();
    const answer = await app.inject({ url: stateUrl, headers: ndjson });
    assert.equal(answer.headers["content-type"], "application/x-ndjson");
    const lines = answer.body
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const of = (type: string) => lines.filter((line) => line.type === type);
    assert.deepEqual(lines[0], { type: "snapshot", format: document.format, snapshot: document.snapshot });
    assert.deepEqual(lines.at(-1), { type: "end", processes: 3, channels: 2 });
    const dataOf = (id: string) =>
      of("chunk")
        .filter((line) => line.process === id)
        .map((line) => line.data)
        .join("");
    for (const process of document.processes) {
      assert.equal(dataOf(process.id), process.data);
    }
    assert.ok(of("chunk").length > 2, "a state comes in several chunks");
    assert.deepEqual(
      of("process").map((line) => line.id),
      document.processes.map((each: { id: string }) => each.id),
    );
    const strip = ({ type: _type, channel: _channel, process: _process, ...rest }: Record<string, unknown>) => rest;
    assert.deepEqual(of("frame").map(strip), document.channels[0].frames);
    assert.deepEqual(of("message").map(strip), document.channels[0].messages);
    assert.deepEqual(of("callInProcess").map(strip), document.processes[0].callsInProcess);
  });

  it("is refused while the snapshot is not completed, and says the phase", async (t) => {
    const { app, snapshot } = serve(t);
    snapshot.phase = "Verifying";
    for (const url of [
      stateUrl,
      "/v1/snapshots/01JBANK/processes/bank%2Fbranch-a/state",
      `/v1/snapshots/01JBANK/channels/${channelId}`,
    ]) {
      assert.match(problemOf(await app.inject(url), 409, "SnapshotNotCompleted").detail, /Verifying/);
    }
  });

  it("is a clean problem when a part is missing or another one", async (t) => {
    const { app, parts } = serve(t);
    const key = { snapshotId: "01JBANK", attempt: 2, kind: "outbox", owner: channelId } as const;
    parts.put(key, Buffer.from("other"));
    problemOf(await app.inject(stateUrl), 500, "StateCorrupt");
    parts.drop(key);
    assert.match(problemOf(await app.inject(stateUrl), 500, "StateCorrupt").detail, /outbox of link1:0/);
    problemOf(await app.inject(`/v1/snapshots/01JBANK/channels/${channelId}`), 500, "StateCorrupt");
    assert.equal((await app.inject("/v1/snapshots/01JBANK/channels/link1:1")).statusCode, 200);
  });

  it("is a clean problem when the bytes fail before the first of them was sent", async (t) => {
    const { app, parts } = serve(t);
    const key = { snapshotId: "01JBANK", attempt: 2, kind: "local", owner: branchB } as const;
    parts.spoil(key, async function* () {
      yield Buffer.from("wrong!");
    });
    const answer = await app.inject("/v1/snapshots/01JBANK/processes/bank%2Fbranch-b/state");
    problemOf(answer, 500, "StateCorrupt");
    assert.equal(answer.headers.etag, undefined);
    assert.equal(answer.headers["content-disposition"], undefined);
    assert.equal(Number(answer.headers["content-length"]), Buffer.byteLength(answer.body));
  });
});

describe("GET /v1/snapshots/{id}/processes/{pid}/state", () => {
  const url = "/v1/snapshots/01JBANK/processes/bank%2Fbranch-a/state";

  it("gives the bytes with their own type, length and hash", async (t) => {
    const { app, snapshot } = serve(t);
    const answer = await app.inject(url);
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.body, stateText);
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers["content-length"], String(Buffer.byteLength(stateText)));
    assert.equal(answer.headers.etag, `"${snapshot.processes[0]?.stateSha256}"`);
    assert.equal(answer.headers["content-disposition"], "attachment");
  });

  it("need not be fetched twice", async (t) => {
    const { app } = serve(t);
    const { etag } = (await app.inject(url)).headers;
    const again = await app.inject({ url, headers: { "if-none-match": `"other", ${etag}` } });
    assert.equal(again.statusCode, 304);
    assert.equal(again.body, "");
  });

  it("does not pass a content type on that cannot stand in a header", async (t) => {
    const { app, snapshot } = serve(t);
    for (const process of snapshot.processes) {
      process.contentType = "text/html\r\nx-evil: 1";
    }
    const answer = await app.inject(url);
    assert.equal(answer.headers["content-type"], "application/octet-stream");
    assert.equal(answer.headers["x-evil"], undefined);
  });

  it("says which process or state is not there", async (t) => {
    const { app } = serve(t);
    problemOf(await app.inject("/v1/snapshots/01JBANK/processes/bank%2Fnobody/state"), 404, "ProcessNotFound");
    problemOf(await app.inject("/v1/snapshots/01JBANK/processes/bank%2Fvault/state"), 404, "StateNotStored");
    problemOf(await app.inject("/v1/snapshots/nobody/processes/bank%2Fvault/state"), 404, "SnapshotNotFound");
    problemOf(await app.inject("/v1/snapshots/01JBANK/processes/bank/branch-a/state"), 404, "NotFound");
  });
});

describe("GET /v1/snapshots/{id}/channels/{cid}", () => {
  it("gives the channel as the whole state has it, with its certificate entry", async (t) => {
    const { app, snapshot } = serve(t);
    const [inState] = (await app.inject(stateUrl)).json().channels;
    for (const cid of [channelId, encodeURIComponent(channelId)]) {
      const { certificate, ...channel } = (await app.inject(`/v1/snapshots/01JBANK/channels/${cid}`)).json();
      assert.deepEqual(channel, inState);
      assert.deepEqual(certificate, snapshot.channels[0]);
    }
  });

  it("says that a channel is not there", async (t) => {
    const { app } = serve(t);
    problemOf(await app.inject("/v1/snapshots/01JBANK/channels/link9:0"), 404, "ChannelNotFound");
  });
});
