import assert from "node:assert/strict";
import { it } from "node:test";
import type { Snapshot } from "@cutline/proto/snapshot";
import fc from "fast-check";
import { keyText } from "../../src/store/key-text.ts";
import type { ListQuery, Store } from "../../src/store/port.ts";
import { lead, rejects, type StartStorage, snapshot, withLeader, withStorage } from "./fixtures.ts";

const times = [
  "2026-01-01T00:00:00.000Z",
  "2026-01-01T00:00:00.001Z",
  "2026-01-01T00:00:00.002Z",
  "2026-02-01T00:00:00.000Z",
];
const phases = ["Pending", "Cutting", "Failed", "Completed"];

export function listCompliance(start: StartStorage): void {
  it("answers every query as a simple model does", async () => {
    await fc.assert(
      fc.asyncProperty(storedArbitrary, fc.array(queryArbitrary, { maxLength: 5 }), async (stored, queries) => {
        await withStorage(start, async (storage) => {
          const store = await storage.open();
          const term = await lead(store, "a");
          for (const { snapshot: made, removed } of stored) {
            await store.create(term, { ...made, phase: "Pending" });
            await (made.phase === "Completed" ? store.publish(term, made) : store.update(term, made));
            if (removed) {
              await store.remove(term, made.id);
            }
          }
          const there = stored.filter(({ removed }) => !removed).map((one) => one.snapshot);
          for (const query of queries) {
            const pages = await pagesOf(store, query);
            assert.deepEqual(pages.flat(), modelOf(there, query));
            for (const page of pages.slice(0, -1)) {
              assert.equal(page.length, query.limit);
            }
          }
        });
      }),
      { numRuns: 25 },
    );
  });

  it("goes on where the page before ended, though snapshots come and go", () =>
    withLeader(start, async ({ store, term }) => {
      for (let n = 0; n < 6; n += 1) {
        await store.create(term, snapshot(`s${n}`));
      }
      const first = await store.list({ limit: 3 });
      assert.deepEqual(
        first.snapshots.map(({ id }) => id),
        ["s5", "s4", "s3"],
      );
      await store.remove(term, "s3");
      await store.create(term, snapshot("s9"));
      const second = await store.list({ limit: 3, cursor: String(first.next) });
      assert.deepEqual(
        second.snapshots.map(({ id }) => id),
        ["s2", "s1", "s0"],
      );
      assert.equal(second.next, undefined);
    }));

  it("finds the few that match among many", () =>
    withLeader(start, async ({ store, term }) => {
      for (let n = 0; n < 150; n += 1) {
        await store.create(term, snapshot(`s${n}`, n % 70 === 0 ? { labels: { rare: "yes" } } : {}));
      }
      const page = await store.list({ limit: 2, labels: { rare: "yes" } });
      const rest = await store.list({ limit: 2, labels: { rare: "yes" }, cursor: String(page.next) });
      assert.deepEqual([...page.snapshots, ...rest.snapshots].map(({ id }) => id).sort(), ["s0", "s140", "s70"]);
    }));

  it("refuses cursors that are none", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      await store.create(term, snapshot("t"));
      const { next } = await store.list({ limit: 1 });
      for (const cursor of [
        "",
        "x",
        "__proto__",
        `${next}=`,
        `${next} `,
        String(next).slice(1),
        Buffer.from("+").toString("base64url"),
      ]) {
        await rejects(store.list({ limit: 1, cursor }), "StoreBadCursor");
      }
    }));

  it("refuses limits and times out of range", () =>
    withLeader(start, async ({ store }) => {
      for (const limit of [0, -1, 501, 1.5, Number.NaN]) {
        await assert.rejects(store.list({ limit }), RangeError);
      }
      await assert.rejects(store.list({ limit: 1, createdSince: "yesterday" }), RangeError);
    }));
}

const labelsArbitrary = fc
  .array(fc.tuple(fc.constantFrom("team", "__proto__", "{}"), fc.constantFrom("a", "b")), { maxLength: 3 })
  .map((entries) => Object.fromEntries(entries));

const storedArbitrary = fc.uniqueArray(
  fc.record({
    snapshot: fc
      .record({
        id: fc.oneof(fc.string({ maxLength: 4 }), fc.string({ unit: "binary", maxLength: 4 })),
        createdAt: fc.constantFrom(...times),
        phase: fc.constantFrom(...phases),
        labels: labelsArbitrary,
      })
      .map(({ id, ...fields }) => snapshot(id, fields)),
    removed: fc.boolean(),
  }),
  { maxLength: 12, selector: (one) => one.snapshot.id },
);

const queryArbitrary: fc.Arbitrary<ListQuery> = fc.record(
  {
    limit: fc.integer({ min: 1, max: 5 }),
    labels: labelsArbitrary,
    phases: fc.subarray(phases),
    createdSince: fc.constantFrom(...times),
    createdBefore: fc.constantFrom(...times),
  },
  { requiredKeys: ["limit"] },
);

function modelOf(snapshots: readonly Snapshot[], query: ListQuery): Snapshot[] {
  return snapshots
    .filter(({ phase }) => query.phases?.includes(phase) ?? true)
    .filter(({ createdAt }) => createdAt >= (query.createdSince ?? "") && createdAt < (query.createdBefore ?? "~"))
    .filter(({ labels }) =>
      Object.entries(query.labels ?? {}).every(([name, value]) =>
        Object.entries(labels).some(([otherName, otherValue]) => name === otherName && value === otherValue),
      ),
    )
    .sort((a, b) => descending(a.createdAt, b.createdAt) || descending(keyText(a.id), keyText(b.id)));
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}

async function pagesOf(store: Store, query: ListQuery): Promise<Snapshot[][]> {
  const pages: Snapshot[][] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(cursor === undefined ? query : { ...query, cursor });
    pages.push([...page.snapshots]);
    cursor = page.next;
  } while (cursor !== undefined);
  return pages;
}
