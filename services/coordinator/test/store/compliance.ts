import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CreateOutcome, Store } from "../../src/store/port.ts";
import { listCompliance } from "./compliance-list.ts";
import { partCompliance, partOrder } from "./compliance-parts.ts";
import {
  bytesOf,
  infoOf,
  lead,
  leaseMs,
  part,
  put,
  readAll,
  rejects,
  type StartStorage,
  snapshot,
  succeed,
  until,
  withLeader,
  withStorage,
} from "./fixtures.ts";

/** What every adapter of the store's port must show. `start` gives an empty storage. */
export function storeCompliance(name: string, start: StartStorage): void {
  storeOrder(name, start);
  describe(`${name}: documents and their keys`, () => documentCompliance(start));
  describe(`${name}: parts and their bytes`, () => partCompliance(start));
  describe(`${name}: the list`, () => listCompliance(start));
}

/** Of these, what decides which write counts: it holds for the simulator's model of a store as well. */
export function storeOrder(name: string, start: StartStorage): void {
  describe(`${name}: the lease`, () => leaseCompliance(start));
  describe(`${name}: fencing (I9)`, () => fencingCompliance(start));
  describe(`${name}: documents`, () => documentOrder(start));
  describe(`${name}: parts`, () => partOrder(start));
}

function leaseCompliance(start: StartStorage): void {
  it("is held by one of two, who gets a higher term when it asks again, and can renew that alone (I9)", () =>
    withStorage(start, async (storage) => {
      const [a, b] = [await storage.open(), await storage.open()];
      const outcomes = await Promise.all([a.acquireLease("a", leaseMs), b.acquireLease("b", leaseMs)]);
      assert.deepEqual(outcomes.map(({ outcome }) => outcome).sort(), ["acquired", "held"]);
      const [winner, name] = outcomes[0]?.outcome === "acquired" ? [a, "a"] : [b, "b"];
      const other = winner === a ? b : a;
      const refused = await other.acquireLease("other", leaseMs);
      assert.ok(refused.outcome === "held");
      assert.equal(refused.holder, name);
      assert.ok(refused.expiresInMs > 0 && refused.expiresInMs <= leaseMs);
      const first = outcomes.find((each) => each.outcome === "acquired");
      assert.equal(first?.succession, "first");
      const again = await winner.acquireLease(name, leaseMs);
      assert.ok(again.outcome === "acquired" && again.term > first.term);
      assert.equal(again.succession, "takeOver");
      assert.equal((await other.acquireLease("other", leaseMs)).outcome, "held");
      assert.equal(await winner.renewLease(first.term, leaseMs), "lost");
      await winner.releaseLease(first.term);
      assert.equal(await winner.renewLease(again.term, leaseMs), "renewed");
    }));

  it("goes to another after it expired, with a higher term, and cannot be renewed then", () =>
    withStorage(start, async (storage) => {
      const [a, b] = [await storage.open(), await storage.open()];
      const first = await lead(a, "a", 60);
      const second = await until("the lease expires", async () => {
        const outcome = await b.acquireLease("b", leaseMs);
        return outcome.outcome === "acquired" ? outcome.term : undefined;
      });
      assert.ok(second > first);
      assert.equal(await a.renewLease(first, leaseMs), "lost");
      await a.releaseLease(first);
      assert.equal((await a.acquireLease("a", leaseMs)).outcome, "held");
      assert.equal(await b.renewLease(second, leaseMs), "renewed");
      assert.equal(await b.renewLease(second, leaseMs), "renewed");
    }));

  it("is lost once it expired, also when nobody took it", () =>
    withStorage(start, async (storage) => {
      const [a, b] = [await storage.open(), await storage.open()];
      const term = await lead(a, "a", leaseMs);
      assert.equal(await a.renewLease(term, 1), "renewed");
      const next = await until("the lease expires", async () => {
        const outcome = await b.acquireLease("b", 1);
        return outcome.outcome === "acquired" ? outcome.term : undefined;
      });
      const later = await until("that one expires too", async () => {
        const outcome = await a.acquireLease("a", leaseMs);
        return outcome.outcome === "acquired" ? outcome.term : undefined;
      });
      assert.ok(later > next && next > term);
      assert.equal(await b.renewLease(next, leaseMs), "lost");
    }));

  it("is free at once after its release, which may be repeated", () =>
    withStorage(start, async (storage) => {
      const [a, b] = [await storage.open(), await storage.open()];
      const first = await lead(a, "a");
      await a.releaseLease(first);
      await a.releaseLease(first);
      assert.equal(await a.renewLease(first, leaseMs), "lost");
      assert.ok((await lead(b, "b")) > first);
    }));

  it("takes any holder's name", () =>
    withStorage(start, async (storage) => {
      const [a, b] = [await storage.open(), await storage.open()];
      await lead(a, "__proto__ {ü\u{1f600}}");
      const refused = await b.acquireLease("b", leaseMs);
      assert.equal(refused.outcome === "held" && refused.holder, "__proto__ {ü\u{1f600}}");
    }));
}

function fencingCompliance(start: StartStorage): void {
  it("lets no write of an earlier term change anything once another leads", () => keepsOut(start, succeed));

  it("lets no write of its own earlier term change anything once the leader has acquired anew", () =>
    keepsOut(start, (old) => lead(old, "old")));
}

/** `renew` ends the term of `old`, which is granted to the holder called "old"; the new term is for `successor` to use. */
async function keepsOut(
  start: StartStorage,
  renew: (old: Store, stale: number, successor: Store) => Promise<number>,
): Promise<void> {
  await withStorage(start, async (storage) => {
    const [old, successor] = [await storage.open(), await storage.open()];
    const stale = await lead(old, "old");
    const before = snapshot("s", { labels: { kept: "yes" } });
    await old.create(stale, before);
    const chunk = bytesOf(1000, 1);
    await put(old, stale, part("s"), [chunk]);
    const writing = await old.writePart(stale, part("s", { owner: "late" }));
    await writing.write(chunk);

    const term = await renew(old, stale, successor);
    assert.ok(term > stale);
    assert.deepEqual(await old.create(stale, snapshot("new")), { outcome: "fenced" });
    assert.equal(await old.update(stale, snapshot("s", { phase: "Failed" })), "fenced");
    assert.equal(await old.publish(stale, snapshot("s", { phase: "Completed" })), "fenced");
    assert.equal(await old.remove(stale, "s"), "fenced");
    assert.equal(await old.removeParts(stale, "s", 1), "fenced");
    await rejects(old.writePart(stale, part("s", { owner: "new" })), "StoreFenced");
    await rejects(writing.write(chunk), "StoreFenced");
    await rejects(writing.commit(infoOf([chunk])), "StoreFenced");
    assert.equal(await old.renewLease(stale, leaseMs), "lost");
    await old.releaseLease(stale);
    assert.equal(await successor.renewLease(term, leaseMs), "renewed");

    assert.deepEqual((await successor.list({ limit: 10 })).snapshots, [before]);
    assert.deepEqual(await readAll(successor, part("s")), Buffer.from(chunk));
    assert.equal(await successor.statPart(part("s", { owner: "late" })), undefined);
    assert.equal(await successor.statPart(part("s", { owner: "new" })), undefined);
    assert.equal(await successor.publish(term, snapshot("s", { phase: "Completed" })), "published");
    await writing.abort();
  });
}

function documentOrder(start: StartStorage): void {
  it("creates once by id", () =>
    withLeader(start, async ({ store, term }) => {
      assert.deepEqual(await store.create(term, snapshot("s")), { outcome: "created" });
      const again = await store.create(term, snapshot("s", { message: "another" }));
      assert.deepEqual(again, { outcome: "exists", snapshot: snapshot("s") });
      assert.deepEqual(await store.get("s"), snapshot("s"));
    }));

  it("updates, also twice, and says what is missing", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      const later = snapshot("s", { phase: "Cutting", attempt: 2, term, durationMs: 2 ** 40 });
      assert.equal(await store.update(term, later), "written");
      assert.equal(await store.update(term, later), "written");
      assert.deepEqual(await store.get("s"), later);
      assert.equal(await store.update(term, snapshot("t")), "missing");
      assert.equal(await store.publish(term, snapshot("t", { phase: "Completed" })), "missing");
      assert.equal(await store.get("t"), undefined);
    }));

  it("publishes once; the first publication stands (I5, I9)", () =>
    withLeader(start, async ({ store, term, storage }) => {
      await store.create(term, snapshot("s"));
      const first = snapshot("s", { phase: "Completed", exact: true });
      const other = await storage.open();
      const outcomes = await Promise.all([store.publish(term, first), other.publish(term, first)]);
      assert.deepEqual(outcomes.sort(), ["already", "published"]);
      assert.equal(await store.publish(term, snapshot("s", { phase: "Completed", message: "second" })), "already");
      assert.equal(await store.update(term, snapshot("s", { phase: "Failed" })), "published");
      assert.deepEqual(await store.get("s"), first);
    }));
}

function documentCompliance(start: StartStorage): void {
  it("creates once by idempotency key, however many ask at once", () =>
    withLeader(start, async ({ store, term, storage }) => {
      const stores = [store, await storage.open(), await storage.open()];
      const made = await Promise.all(
        Array.from({ length: 12 }, (_, n) =>
          (stores[n % 3] ?? store).create(term, snapshot(`s${n}`, { idempotencyKey: "once {}" })),
        ),
      );
      const { snapshots } = await store.list({ limit: 100 });
      assert.equal(snapshots.length, 1);
      const winner = snapshots[0];
      assert.ok(winner !== undefined);
      const others = made.filter(({ outcome }) => outcome === "exists");
      // A creator may also find that another one finished its creation for it.
      assert.ok(others.length >= 11);
      for (const outcome of others) {
        assert.deepEqual(outcome, { outcome: "exists", snapshot: winner } satisfies CreateOutcome);
      }
      await store.create(term, snapshot("other", { idempotencyKey: "twice" }));
      assert.equal((await store.list({ limit: 100 })).snapshots.length, 2);
    }));

  it("gives an idempotency key free with the snapshot", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s", { idempotencyKey: "k" }));
      assert.equal(await store.remove(term, "s"), "removed");
      assert.deepEqual(await store.create(term, snapshot("t", { idempotencyKey: "k" })), { outcome: "created" });
    }));

  it("writes Completed by publish alone", () =>
    withLeader(start, async ({ store, term }) => {
      await assert.rejects(store.create(term, snapshot("s", { phase: "Completed" })), RangeError);
      await store.create(term, snapshot("s"));
      await assert.rejects(store.update(term, snapshot("s", { phase: "Completed" })), RangeError);
      await assert.rejects(store.publish(term, snapshot("s", { phase: "Failed" })), RangeError);
      assert.equal((await store.get("s"))?.phase, "Pending");
    }));

  it("removes everything there is of a snapshot", () =>
    withLeader(start, async ({ store, term, storage }) => {
      assert.deepEqual(await storage.leftovers(), []);
      await store.create(term, snapshot("s", { idempotencyKey: "k" }));
      await store.create(term, snapshot("other"));
      const untouched = await storage.leftovers();
      for (let n = 0; n < 70; n += 1) {
        await put(store, term, part("s", { owner: `p/${n}`, attempt: 1 + (n % 3) }), [
          bytesOf(2000, n),
          bytesOf(10, n),
        ]);
      }
      const open = await store.writePart(term, part("s", { owner: "uncommitted" }));
      await open.write(bytesOf(5000, 7));
      assert.ok((await storage.leftovers()).length > untouched.length);
      assert.equal(await store.publish(term, snapshot("s", { phase: "Completed" })), "published");
      assert.equal(await store.remove(term, "s"), "removed");
      assert.equal(await store.remove(term, "s"), "missing");
      assert.equal(await store.remove(term, "never"), "missing");
      await rejects(open.write(bytesOf(1, 1)), "StorePartCorrupt");
      await open.abort();
      assert.equal(await store.get("s"), undefined);
      assert.deepEqual((await store.list({ limit: 10 })).snapshots, [snapshot("other")]);
      assert.equal(await store.remove(term, "other"), "removed");
      assert.deepEqual(await storage.leftovers(), []);
    }));

  it("keeps ids and labels of any characters apart", () =>
    withLeader(start, async ({ store, term, storage }) => {
      const strange = [
        "__proto__",
        "constructor",
        "{}",
        "}{",
        "{x}",
        "",
        " ",
        "%",
        "%7B",
        "a/b",
        "../..",
        "ü\u{1f600}",
        "\0",
        "a\0b",
        "\ud800",
        "\ufffd",
        '"',
        "\\",
        "*",
        "\n",
      ];
      const made = strange.map((id) =>
        snapshot(id, {
          labels: Object.fromEntries(strange.map((name) => [name.toWellFormed(), `value of ${name.toWellFormed()}`])),
        }),
      );
      for (const one of made) {
        assert.deepEqual(await store.create(term, one), { outcome: "created" });
        await put(store, term, part(one.id), [bytesOf(10, one.id.length)]);
      }
      for (const one of made) {
        assert.deepEqual(await store.get(one.id), one);
        assert.equal(Object.hasOwn((await store.get(one.id))?.labels ?? {}, "__proto__"), true);
      }
      assert.equal(
        (await store.list({ limit: 100, labels: Object.fromEntries([["__proto__", "value of __proto__"]]) })).snapshots
          .length,
        strange.length,
      );
      assert.equal((await store.list({ limit: 100, labels: { toString: "x" } })).snapshots.length, 0);
      for (const { id } of made) {
        assert.equal(await store.remove(term, id), "removed");
      }
      assert.deepEqual(await storage.leftovers(), []);
    }));

  it("refuses a damaged document and names it", () =>
    withLeader(start, async ({ store, term, storage }) => {
      await store.create(term, snapshot("s-77"));
      for (const damaged of ["{", "[]", "null", '{"id":"another"}', "{}"]) {
        await storage.replaceDocument("s-77", damaged);
        await rejects(store.get("s-77"), "StoreCorrupt", /s-77/);
        await rejects(store.list({ limit: 1 }), "StoreCorrupt", /s-77/);
      }
      assert.equal(await store.remove(term, "s-77"), "removed");
    }));

  it("answers pings, and nothing after it was closed", () =>
    withLeader(start, async ({ store, term }) => {
      await store.ping();
      await store.close();
      await store.close();
      await rejects(store.ping(), "StoreClosed");
      await rejects(store.create(term, snapshot("s")), "StoreClosed");
    }));
}
