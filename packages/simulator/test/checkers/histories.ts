import type { FrameContent, Happening, History, Picture, Unit } from "../../src/checkers/history.ts";

type Noted = Happening extends infer H ? (H extends { readonly atMs: number } ? Omit<H, "atMs"> : never) : never;

export const p = "a/p#1";
export const q = "a/q#1";
const there = "l:0";
const back = "l:1";

export function unit(id: number, overrides: Partial<Unit> = {}): Unit {
  return { id, channel: there, call: "l/1", kind: "message", tokens: [], pieces: 1, ...overrides };
}

function numbered(inc: string, channel: string, number: number, content: FrameContent): Noted {
  return { type: "numbered", inc, channel, number, content };
}

export function arrived(inc: string, channel: string, number: number, content: FrameContent): Noted {
  return { type: "arrived", inc, channel, number, content };
}

export function received(inc: string, channel: string, id: number, numbers: readonly number[]): Noted {
  return { type: "received", inc, channel, unit: id, numbers, fate: "taken" };
}

export const units: readonly Unit[] = [
  unit(0, { tokens: ["p1"] }),
  unit(1, { tokens: ["p2"] }),
  unit(2, { tokens: ["p3"], pieces: 2 }),
  unit(3, { channel: back, tokens: ["q1"] }),
];

/** As it should be: one token received before the cuts, one in flight, one half in flight and half in the outbox. */
export const picture: Picture = {
  id: "s",
  attempt: 1,
  exact: true,
  processes: [
    { id: "a/p", inc: p, stored: true, exact: true },
    { id: "a/q", inc: q, stored: true, exact: true },
  ],
  channels: [
    { id: there, from: "a/p", to: "a/q", sentAtCut: 3, deliveredAtCut: 1, recordedCount: 2, outboxCount: 1 },
    { id: back, from: "a/q", to: "a/p", sentAtCut: 0, deliveredAtCut: 0, recordedCount: 0, outboxCount: 0 },
  ],
  parts: new Map([
    ["local a/p", "p4"],
    ["local a/q", "p1\nq1"],
    ["channel l:0", "2 1 0\n3 2 0"],
    ["outbox l:0", "2 1"],
  ]),
};

const marker: FrameContent = { marker: "s/1" };

export const story: readonly Noted[] = [
  { type: "born", inc: p, process: "a/p", tokens: ["p1", "p2", "p3", "p4"] },
  { type: "born", inc: q, process: "a/q", tokens: ["q1"] },
  { type: "granted", term: 1, holder: "c1#1" },
  { type: "opened", inc: p, channel: there, end: "out" },
  { type: "opened", inc: p, channel: back, end: "in" },
  { type: "opened", inc: q, channel: back, end: "out" },
  { type: "opened", inc: q, channel: there, end: "in" },
  { type: "asked", id: "s", completesBy: 1 },
  { type: "sent", inc: p, unit: 0 },
  numbered(p, there, 1, { unit: 0, piece: 0 }),
  arrived(q, there, 1, { unit: 0, piece: 0 }),
  received(q, there, 0, [1]),
  { type: "sent", inc: p, unit: 1 },
  numbered(p, there, 2, { unit: 1, piece: 0 }),
  { type: "sent", inc: p, unit: 2 },
  numbered(p, there, 3, { unit: 2, piece: 0 }),
  { type: "cut", inc: p, key: "s/1" },
  numbered(p, there, 4, marker),
  numbered(p, there, 5, { unit: 2, piece: 1 }),
  arrived(q, there, 2, { unit: 1, piece: 0 }),
  { type: "cut", inc: q, key: "s/1" },
  numbered(q, back, 1, marker),
  arrived(p, back, 1, marker),
  received(q, there, 1, [2]),
  arrived(q, there, 3, { unit: 2, piece: 0 }),
  arrived(q, there, 4, marker),
  arrived(q, there, 5, { unit: 2, piece: 1 }),
  received(q, there, 2, [3, 5]),
  { type: "sent", inc: q, unit: 3 },
  numbered(q, back, 2, { unit: 3, piece: 0 }),
  arrived(p, back, 2, { unit: 3, piece: 0 }),
  received(p, back, 3, [2]),
  { type: "written", id: "s", attempt: 1, phase: "Completed", term: 1 },
  { type: "published", picture },
  { type: "told", by: "c1", id: "s", attempt: 1, phase: "Completed" },
  { type: "calm" },
  {
    type: "finished",
    outcome: {
      reached: "quiet",
      documents: [{ id: "s", attempt: 1, phase: "Completed", reason: "" }],
      processes: [p, q].map((inc) => ({ inc, runningSnapshots: [], heldFrames: 0, waitingUnits: 0, keptRecords: 0 })),
      liveChannels: [there, back],
      parts: new Map([["s", new Map([...picture.parts].map(([name, content]) => [`1 ${name}`, content]))]]),
    },
  },
];

export function historyOf(told: readonly Noted[], of: readonly Unit[] = units): History {
  return { events: told.map((event, index) => ({ ...event, atMs: index }) as Happening), units: [...of] };
}

/** The story with some of its events replaced: `undefined` leaves the event out, a list puts it in its place. */
export function retold(change: (event: Noted, index: number) => Noted | readonly Noted[] | undefined): History {
  return historyOf(story.flatMap((event, index) => change(event, index) ?? []));
}

/** The story with another picture published, and the parts in the store like it. */
export function withPicture(other: Partial<Picture>): History {
  const published = { ...picture, ...other };
  return retold((event) => {
    if (event.type === "published") return { type: "published", picture: published };
    if (event.type !== "finished") return event;
    const parts = new Map([["s", new Map([...published.parts].map(([name, content]) => [`1 ${name}`, content]))]]);
    return { type: "finished", outcome: { ...event.outcome, parts } };
  });
}

export function withPart(name: string, content: string | undefined): History {
  const parts = new Map(picture.parts);
  if (content === undefined) parts.delete(name);
  else parts.set(name, content);
  return withPicture({ parts });
}
