import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { History } from "../../src/checkers/history.ts";
import { judge } from "../../src/checkers/judge.ts";
import {
  arrived,
  historyOf,
  p,
  picture,
  q,
  received,
  retold,
  story,
  unit,
  units,
  withPart,
  withPicture,
} from "./histories.ts";

function assertSeen(checker: string, history: History, message: RegExp): void {
  const verdicts = judge(history);
  const seen = verdicts.some((verdict) => verdict.checker === checker && message.test(verdict.message));
  assert.ok(seen, `${checker} did not see it; what was seen: ${JSON.stringify(verdicts)}`);
}

const [cutOfP, cutOfQ] = [p, q].map((inc) => story.findIndex((event) => event.type === "cut" && event.inc === inc));

describe("the checkers", () => {
  it("find nothing wrong with a right history", () => {
    assert.deepEqual(judge(historyOf(story)), []);
  });

  it("I1: see what was received before a cut and sent behind one", () => {
    const late = { type: "cut", inc: q, key: "s/1" } as const;
    const history = retold((event, index) => {
      if (index === cutOfP) return undefined;
      // P cuts before it sends its first unit; Q has received it at its own cut.
      if (event.type === "sent" && event.unit === 0) return [{ type: "cut", inc: p, key: "s/1" }, event];
      return index === cutOfQ ? late : event;
    });
    assertSeen("I1", history, /a\/q#1 had received what a\/p#1 did after its own cut/);
  });

  it("I1: see a process in the picture that never cut", () => {
    assertSeen(
      "I1",
      retold((event, index) => (index === cutOfQ ? undefined : event)),
      /never cut/,
    );
  });

  it("I2: see a frame that is missing, one too many, one twice, and one in the wrong place", () => {
    assertSeen("I2", withPart("channel l:0", "3 2 0"), /state of l:0 is \[3 2 0\]/);
    assertSeen("I2", withPart("channel l:0", undefined), /state of l:0/);
    assertSeen("I2", withPart("channel l:0", "1 0 0\n2 1 0\n3 2 0"), /state of l:0/);
    assertSeen("I2", withPart("channel l:0", "2 1 0\n2 1 0\n3 2 0"), /state of l:0/);
    assertSeen("I2", withPart("channel l:0", "3 2 0\n2 1 0"), /state of l:0/);
    const more = { ...picture.channels[1], id: "l:1", from: "a/q", to: "a/p", recordedCount: 1 };
    const parts = new Map([...picture.parts, ["channel l:1", "2 3 0"]]);
    const channels = picture.channels.map((channel) => (channel.id === "l:1" ? { ...channel, ...more } : channel));
    assertSeen("I2", withPicture({ parts, channels }), /state of l:1/);
  });

  it("I2: see an outbox that is missing or holds what has a number", () => {
    assertSeen("I2", withPart("outbox l:0", undefined), /outbox of l:0/);
    assertSeen("I2", withPart("outbox l:0", "2 0\n2 1"), /outbox of l:0/);
  });

  it("I2: see a count that differs from what was in flight", () => {
    const channels = picture.channels.map((channel) => ({ ...channel, recordedCount: 7 }));
    assertSeen("I2", withPicture({ channels }), /counts 7 in flight, and 2 were/);
  });

  it("I2: see frames towards somebody who is not in the picture", () => {
    const processes = picture.processes.filter(({ inc }) => inc === p);
    assertSeen("I2", withPicture({ processes }), /went to nobody in the picture/);
  });

  it("I2: see frames that were lost with their link and are not missed", () => {
    const lost = { type: "lost", inc: q, channel: "l:0", end: "in" } as const;
    assertSeen(
      "I2",
      retold((event, index) => (index === cutOfQ ? [lost, event] : event)),
      /were lost, and it was published/,
    );
  });

  it("see a local state that is not that of the cut", () => {
    assertSeen("state", withPart("local a/q", "q1"), /the state of a\/q#1 is \[q1\], and was \[p1, q1\]/);
    assertSeen("state", withPart("local a/p", undefined), /the state of a\/p#1 is missing/);
    assertSeen("state", withPart("calls a/p", "l/1"), /calls in process at a\/p#1/);
  });

  it("see a token that is lost and one that is there twice", () => {
    assertSeen("tokens", withPart("local a/q", "q1"), /p1 is there 0 times, expected 1/);
    assertSeen("tokens", withPart("local a/p", "p2\np4"), /p2 is there 2 times, expected 1/);
    assertSeen("tokens", withPart("channel l:0", "2 1 0\n2 1 0\n3 2 0"), /p2 is there 2 times/);
    assertSeen("tokens", withPart("outbox l:0", undefined), /p3 is there 0 times, expected 1/);
  });

  it("I3: see a frame that is received twice, before it arrived, or never", () => {
    const twice = retold((event) => (event.type === "received" && event.unit === 1 ? [event, event] : event));
    assertSeen("I3", twice, /frame 2 was received twice/);
    const early = retold((event) =>
      event.type === "arrived" && event.number === 1 && event.channel === "l:0"
        ? [received(q, "l:0", 0, [1]), event]
        : event.type === "received" && event.unit === 0
          ? undefined
          : event,
    );
    assertSeen("I3", early, /received before it arrived/);
    assertSeen(
      "I3",
      retold((event) => (event.type === "received" && event.unit === 2 ? undefined : event)),
      /never received/,
    );
  });

  it("I3: see units of one call in another order, and half a unit", () => {
    const swapped = retold((event) => {
      if (event.type !== "received" || event.channel !== "l:0" || event.unit === 0) return event;
      return event.unit === 1 ? undefined : [event, received(q, "l:0", 1, [2])];
    });
    assertSeen("I3", swapped, /out of order/);
    assertSeen(
      "I3",
      retold((event) => (event.type === "received" && event.unit === 2 ? received(q, "l:0", 2, [3]) : event)),
      /in 1 pieces/,
    );
  });

  it("I3: see that something was held back for long", () => {
    const history = historyOf(story);
    const at = history.events.findIndex((event) => event.type === "received" && event.unit === 2);
    const slow = {
      ...history,
      events: history.events.map((event, index) => (index < at ? event : { ...event, atMs: 9_000 + index })),
    };
    assertSeen("I3", slow, /unit 2 of call l\/1 was held back for/);
  });

  it("see numbers that repeat, leave one out, or name another frame", () => {
    const change = (content: { unit: number; piece: number }, number: number) =>
      retold((event) =>
        event.type === "arrived" && event.number === 2 && event.inc === q ? arrived(q, "l:0", number, content) : event,
      );
    assertSeen("numbers", change({ unit: 1, piece: 0 }, 1), /arrived 1 as the 2th/);
    assertSeen("numbers", change({ unit: 0, piece: 0 }, 2), /arrived as another frame/);
    const gap = retold((event) =>
      event.type === "numbered" && event.number === 2 && event.inc === p ? undefined : event,
    );
    assertSeen("numbers", gap, /numbered 3 as the 2th/);
  });

  it("I4: see a picture that says exact and has a capture in doubt", () => {
    const processes = picture.processes.map((process) => ({ ...process, exact: process.inc === p }));
    assertSeen("I4", withPicture({ processes }), /is exact though a capture was not/);
  });

  it("I5: see a part that is gone or changed after the publication", () => {
    for (const content of [undefined, "other"]) {
      const history = retold((event) => {
        if (event.type !== "finished") return event;
        const parts = new Map(event.outcome.parts.get("s"));
        if (content === undefined) parts.delete("1 local a/p");
        else parts.set("1 local a/p", content);
        return { type: "finished", outcome: { ...event.outcome, parts: new Map([["s", parts]]) } };
      });
      assertSeen("I5", history, /the part local a\/p is not what was published/);
    }
  });

  it("I6: see a snapshot that goes on, one that fails undisturbed, and a process that is not done with it", () => {
    const finished = (change: object) =>
      retold((event) =>
        event.type === "finished" ? { type: "finished", outcome: { ...event.outcome, ...change } } : event,
      );
    const document = { id: "s", attempt: 1, phase: "Cutting", reason: "" };
    assertSeen("I6", finished({ documents: [document] }), /s is still Cutting/);
    assertSeen(
      "I6",
      finished({ documents: [{ ...document, phase: "Failed" }] }),
      /was not disturbed after attempt 0 and is Failed/,
    );
    assertSeen(
      "I6",
      finished({ documents: [{ ...document, phase: "Completed", attempt: 2 }] }),
      /not disturbed .* Completed in attempt 2/,
    );
    const standing = { inc: p, runningSnapshots: ["s/1"], heldFrames: 0, waitingUnits: 0, keptRecords: 0 };
    assertSeen("I6", finished({ reached: "timeOver", processes: [standing] }), /a\/p#1 still takes part in s\/1/);
    assertSeen("I6", finished({ processes: [{ ...standing, keptRecords: 1 }] }), /keeps records of 1 attempts/);
  });

  it("I8: see an attempt that begins before the store knows of it", () => {
    const started = { type: "started", id: "s", attempt: 2, term: 1 } as const;
    assertSeen(
      "I8",
      retold((event) => (event.type === "calm" ? [started, event] : event)),
      /s\/2 in term 1, unknown/,
    );
  });

  it("I9: see a second publication, a write of an old term, and a word that is not true", () => {
    const after = (...more: Parameters<typeof historyOf>[0]) =>
      retold((event) => (event.type === "calm" ? [...more, event] : event));
    const written = { type: "written", id: "s", attempt: 1, phase: "Completed", term: 1 } as const;
    assertSeen("I9", after(written), /after its publication/);
    assertSeen("I9", after({ ...written, phase: "Failed" }), /after its publication/);
    assertSeen(
      "I9",
      after({ type: "granted", term: 3, holder: "c2#1" }, { ...written, id: "t", term: 2 }),
      /in term 2 while 3/,
    );
    assertSeen("I9", after({ type: "granted", term: 1, holder: "c2#1" }), /term 1 was granted after 1/);
    assertSeen(
      "I9",
      after({ type: "told", by: "c2", id: "s", attempt: 1, phase: "Failed" }),
      /is Failed, and it is published/,
    );
    assertSeen(
      "I9",
      after({ type: "told", by: "c2", id: "t", attempt: 1, phase: "Completed" }),
      /is Completed before it was/,
    );
  });

  it("keep the lives of a channel apart that its acceptor opens again", () => {
    // Q loses the link before P ever saw it connected, with a token on it, and opens it anew.
    const lost = unit(4, { channel: "l:1", tokens: ["q2"] });
    const history = retold((event) => {
      if (event.type === "born" && event.inc === q) return { ...event, tokens: ["q1", "q2"] };
      if (event.type !== "asked") return event;
      return [
        { type: "sent", inc: q, unit: 4 },
        { type: "numbered", inc: q, channel: "l:1", number: 1, content: { unit: 4, piece: 0 } },
        { type: "lost", inc: q, channel: "l:1", end: "out" },
        { type: "opened", inc: q, channel: "l:1", end: "out" },
        event,
      ];
    });
    assert.deepEqual(judge({ ...history, units: [...units, lost] }), []);
  });
});
